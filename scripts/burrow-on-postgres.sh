#!/usr/bin/env bash
# The binary at BURROW_REAL with a database of its own for each --dir, in the PostgreSQL of with-postgres.sh: for tests that
# start servers and know nothing of databases. With BURROW_GRADUATE=1 the directory is moved there first.
set -euo pipefail

dir="" previous=""
for word in "$@"; do
  [ "$previous" = --dir ] && dir=$word
  previous=$word
done
if [ -z "$dir" ]; then exec "$BURROW_REAL" "$@"; fi
name=b$(printf %s "$(realpath -m "$dir")" | md5sum | cut -c1-24)
psql -qtAc "SELECT 1 FROM pg_database WHERE datname = '$name'" postgres | grep -q 1 ||
  psql -qc "CREATE DATABASE $name TEMPLATE template0" postgres
address=postgres://$PGUSER@$PGHOST:$PGPORT/$name
if [ "${BURROW_GRADUATE:-}" = 1 ]; then
  [ -e "$dir/.burrow/database" ] || "$BURROW_REAL" graduate --dir "$dir" --to "$address" >/dev/null
  exec "$BURROW_REAL" "$@"
fi
exec "$BURROW_REAL" "$@" --database "$address"
