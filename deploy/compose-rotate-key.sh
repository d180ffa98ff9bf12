#!/usr/bin/env bash
# make rotate-key for Compose: the files are the host's, and the job store is reached from the worker's container.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export COMPOSE_FILE=${COMPOSE_FILE:-$here/docker-compose.yml}
# Where .env says that the secrets are: Compose knows.
folder=$(docker compose config --format json | "${PYTHON:-python3}" -c \
    'import json, os, sys; print(os.path.dirname(json.load(sys.stdin)["secrets"]["secret_key"]["file"]))')
step() { (cd "$here/.." && "${PYTHON:-python3}" -m deploy.make_secrets --folder "$folder" "$1"); }

step --use-key
sleep 5 # in which requests end that sealed with the key before
docker compose exec -T worker python -m shared.sql.keys reseal
step --drop-key
echo "The old key is dropped."
