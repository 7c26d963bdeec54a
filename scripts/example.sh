#!/usr/bin/env bash
# Serves an example at http://127.0.0.1:8090 with its collections, on a data directory of its own: scripts/example.sh chat
# Its superuser is root@example.com with the password a-long-secret. BURROW_BIN names another build, ADDRESS another place.
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:?usage: scripts/example.sh chat|todo}
[ -d "examples/$name/public" ] || { echo "there is no example \"$name\""; exit 2; }
burrow=${BURROW_BIN:-target/release/burrow}
address=${ADDRESS:-127.0.0.1:8090}
data=burrow_data_$name
email=root@example.com password=a-long-secret

"$burrow" superuser upsert "$email" "$password" --dir "$data"
"$burrow" serve --http "$address" --publicDir "examples/$name/public" --dir "$data" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server"' EXIT
until node examples/import.mjs "examples/$name" "http://$address" "$email" "$password" 2>/dev/null; do
  kill -0 "$server" 2>/dev/null || exit 1
  sleep 0.2
done
echo "Open http://$address/ (Ctrl+C ends it)"
wait "$server"
