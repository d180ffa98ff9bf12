#!/usr/bin/env bash
# make backup: both databases and the artifacts of the compose stack into a new folder, while everything runs.
#
# The databases come first, each as of one moment: an artifact is there before a record speaks of it. Redis holds
# nothing that is not in the job store. Secrets are not saved: keep a copy of deploy/secrets yourself.
set -euo pipefail
umask 077

here=$(cd "$(dirname "$0")" && pwd)
export COMPOSE_FILE=${COMPOSE_FILE:-$here/docker-compose.yml}
folder=${1:?usage: deploy/backup.sh FOLDER}
[ ! -e "$folder" ] || { echo "$folder exists already. Name a new folder." >&2; exit 2; }
mkdir -p "$folder.unfinished"

for database in retrain mlflow; do
    docker compose exec -T postgres pg_dump --username retrain --format custom "$database" \
        >"$folder.unfinished/$database.dump"
done
for service in mlflow $(docker compose config --services | grep -x azurite || true); do
    # What is written meanwhile changes as it is read (tar says 1 then); no record in the dumps speaks of it.
    docker compose exec -T "$service" tar -c -C /data . >"$folder.unfinished/$service-data.tar" || [ $? -eq 1 ]
    [ -s "$folder.unfinished/$service-data.tar" ]
done
mv "$folder.unfinished" "$folder"
echo "Backup: $folder ($(du -sh "$folder" | cut -f1))"
