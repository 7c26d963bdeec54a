#!/usr/bin/env bash
# Installs what only the tests need and what is missing: Chromium from Debian's packages. Node packages are installed by
# the targets that use them, exactly as their lock files say.
set -euo pipefail

if ! [ -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
