#!/bin/sh
# Makes the passwords and keys that docker-compose.yml mounts, in .secrets/ or the folder named; what is there stays.
#
#   deploy/secrets.sh [FOLDER]
#
# The folder is its owner's alone. The files in it are readable to all, since each container reads them as a user of its
# own; nobody else on this machine gets into the folder.
set -eu
folder=${1:-$(dirname "$0")/../.secrets}
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
keep() {
  [ -s "$folder/$1" ] && return
  printf '%s' "$2" >"$folder/.new"
  chmod 0444 "$folder/.new"
  mv "$folder/.new" "$folder/$1"
}
mkdir -p "$folder/endpoints"
chmod 0700 "$folder"
keep link.key "$(random)"
keep postgres.password "$(random)"
keep database.url "postgresql://herald:$(cat "$folder/postgres.password")@postgres/herald"
keep grafana.password "$(random)"
echo "$folder holds link.key, postgres.password, database.url and grafana.password; endpoints/ is for the registry's"
