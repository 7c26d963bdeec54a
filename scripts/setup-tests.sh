#!/usr/bin/env bash
# Installs what only the tests need and what is missing, from Debian's packages: Chromium, nginx, PostgreSQL, PgBouncer, curl
# and Pebble (a certificate authority to try ACME with). Node packages are
# installed by the targets that use them, exactly as their lock files say.
set -euo pipefail

missing=()
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || missing+=(chromium fonts-dejavu-core)
[ -x "${NGINX:-/usr/sbin/nginx}" ] || missing+=(nginx)
command -v curl >/dev/null || missing+=(curl)
[ -x /usr/sbin/pgbouncer ] || missing+=(pgbouncer)
command -v pebble >/dev/null || missing+=(pebble)
compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)

if [ ${#missing[@]} -gt 0 ]; then
  as_root=""
  [ "$(id -u)" = 0 ] || as_root="sudo"
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
