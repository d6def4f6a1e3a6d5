#!/usr/bin/env bash
# Makes a database for each program, owned by a user of its own. PostgreSQL's image runs this once, on an empty disk.
set -euo pipefail

make_database() {
    psql --quiet --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
        --set=name="$1" --set=password="$2" <<'SQL'
CREATE USER :"name" PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}

make_database flywheel "$FLYWHEEL_DB_PASSWORD"
make_database prefect "$PREFECT_DB_PASSWORD"
make_database mlflow "$MLFLOW_DB_PASSWORD"
