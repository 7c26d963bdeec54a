#!/usr/bin/env bash
# Installs what only the benchmarks need: wrk, from Debian's packages. PocketBase comes from PyPI, beside the build.
set -euo pipefail
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk python3-venv >/dev/null
