#!/usr/bin/env bash
# make restore: put back what make backup saved, over what is there, and start the stack. The sweep then compares the
# jobs with the containers that really run: training that the backup does not know of is removed, and training that is
# gone is tried again.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export COMPOSE_FILE=${COMPOSE_FILE:-$here/docker-compose.yml}
folder=${1:?usage: deploy/compose-restore.sh FOLDER}
for file in retrain.dump mlflow.dump mlflow-data.tar; do
    [ -s "$folder/$file" ] || { echo "$folder is no backup: it has no $file. Nothing was changed." >&2; exit 2; }
done
# Backups of earlier versions have no sums.
[ ! -f "$folder/SHA256SUMS" ] || (cd "$folder" && sha256sum --check --quiet --strict SHA256SUMS) || {
    echo "$folder is not as it was written (see above). Nothing was changed." >&2
    exit 2
}

docker compose stop api worker flower mlflow
docker compose up --detach --wait postgres
# A volume of an earlier version has no role postgres: there the service's own is the superuser.
admin=$(docker compose exec -T postgres sh -c \
    'psql --username postgres --dbname postgres --command "" >/dev/null 2>&1 && echo postgres || echo retrain')
for database in retrain mlflow; do
    docker compose exec -T postgres pg_restore --username "$admin" --dbname postgres --clean --if-exists --create \
        --exit-on-error <"$folder/$database.dump"
done
# Into services that run: what `compose run` is sent may be lost, and nothing is a good archive to tar.
for service in azurite mlflow; do
    [ -f "$folder/$service-data.tar" ] || continue
    docker compose up --detach --wait "$service"
    docker compose exec -T "$service" sh -c 'find /data -mindepth 1 -delete; tar -x -C /data' \
        <"$folder/$service-data.tar"
    docker compose kill "$service" # it must not write what it still remembers over it
done
docker compose up --detach --wait
echo "Restored from $folder."
