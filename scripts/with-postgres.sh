#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own, on a free port of loopback, which ends with it and leaves nothing behind.
# The command finds it by PGHOST, PGPORT and PGUSER.
set -euo pipefail

bin=$(compgen -G "/usr/lib/postgresql/*/bin" | sort -V | tail -n 1)
root=$(mktemp -d)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  chown postgres "$root"
  as() { setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups "$@"; }
fi
export PGHOST=127.0.0.1 PGUSER=burrow LC_ALL=C.UTF-8
# Not one of those that the system gives to connections that go out: the server starts a moment later.
PGPORT=$(python3 -c '
import random, socket
while True:
    port = random.randrange(15000, 30000)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)):
            print(port)
            break')
export PGPORT
end() {
  as "$bin/pg_ctl" -D "$root/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$root"
}
trap end EXIT
(
  cd "$root"
  as "$bin/initdb" -D "$root/data" -U burrow -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$root/log" 2>&1
  as "$bin/pg_ctl" -D "$root/data" -l "$root/server.log" -w start -o "-p $PGPORT -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories=$root -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=600" >/dev/null
) || { cat "$root"/*log >&2; exit 1; }
"$@"
