#!/usr/bin/env bash
# Writes .env, readable by you alone, with a new random secret for each name that compose.yaml asks for.
set -euo pipefail
cd "$(dirname "$0")"

if [ -e .env ]; then
    echo ".env is there already; what runs would not know new secrets. Nothing was changed." >&2
    exit 1
fi

new() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

umask 077
# Under another name first: half a file must not pass for a whole one.
for name in POSTGRES_PASSWORD FLYWHEEL_DB_PASSWORD PREFECT_DB_PASSWORD MLFLOW_DB_PASSWORD REDIS_PASSWORD \
    PREFECT_PASSWORD S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY MODEL_SERVER_TOKEN; do
    echo "$name=$(new)"
done >.env.new
mv .env.new .env
echo "wrote $(pwd)/.env; keep a copy where your other secrets are"
