#!/usr/bin/env bash
# make backup: both databases and the artifacts of the compose stack into a new folder, while everything runs.
#
# The databases come first, each as of one moment: an artifact is there before a record speaks of it. Redis holds
# nothing that is not in the job store. Secrets are not saved: keep a copy of deploy/secrets yourself. What was written
# is read again before the folder gets its name.
set -euo pipefail
umask 077

here=$(cd "$(dirname "$0")" && pwd)
export COMPOSE_FILE=${COMPOSE_FILE:-$here/docker-compose.yml}
folder=${1:?usage: deploy/compose-backup.sh FOLDER}
[ ! -e "$folder" ] || { echo "$folder exists already. Name a new folder." >&2; exit 2; }
new=$folder.unfinished
rm -rf "$new" # of one that was killed
mkdir -p "$new"

# Each as its owner: neither may open the other's.
for owner_of_database in retrain:retrain mlflow:mlflow; do
    database=${owner_of_database#*:}
    docker compose exec -T postgres pg_dump --username "${owner_of_database%:*}" --format custom "$database" \
        >"$new/$database.dump"
    docker compose exec -T postgres pg_restore --file /dev/null <"$new/$database.dump"
done
for service in mlflow $(docker compose config --services | grep -x azurite || true); do
    # What is written meanwhile changes as it is read (tar says 1 then); no record in the dumps speaks of it.
    docker compose exec -T "$service" tar -c -C /data . >"$new/$service-data.tar" || [ $? -eq 1 ]
    [ -s "$new/$service-data.tar" ] # nothing is a good archive to tar
    tar -t -f "$new/$service-data.tar" >/dev/null
done
sums=$(cd "$new" && sha256sum -- *)
echo "$sums" >"$new/SHA256SUMS"
mv "$new" "$folder"
folder=$(cd "$folder" && pwd)
echo "Backup: $folder ($(du -sh "$folder" | cut -f1), read again after it was written)"
printf '{"saved_at": "%s"}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" |
    docker compose exec -T worker sh -c 'cat >"$DATA_DIR/last-backup.json"' ||
    echo "The doctor does not know of it, because no worker runs here." >&2
