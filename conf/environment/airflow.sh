#!/usr/bin/env bash
# Starts Airflow on SQLite, on loopback, with the project's DAGs and the Spark connection in place.
# Its home is data/airflow; the jobs run in the ML environment's spark-submit.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

export AIRFLOW_HOME=${AIRFLOW_HOME:-$root/data/airflow}
export AIRFLOW__CORE__DAGS_FOLDER=$root/dags
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__PARALLELISM=${AIRFLOW__CORE__PARALLELISM:-2}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True
export AIRFLOW__API__HOST=${AIRFLOW__API__HOST:-127.0.0.1}
export AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
export AIRFLOW_CONN_SPARK_DEFAULT=${AIRFLOW_CONN_SPARK_DEFAULT:-'{"conn_type": "spark", "host": "local[*]"}'}
# The ML environment first, for spark-submit; Airflow starts its parts by the name `airflow`.
export PATH=$root/.venv/bin:$root/.venv-airflow/bin:$PATH
export PYSPARK_PYTHON=$root/.venv/bin/python PYSPARK_DRIVER_PYTHON=$root/.venv/bin/python
export TIDEMILL_ROOT=$root

if (echo >"/dev/tcp/$AIRFLOW__API__HOST/$AIRFLOW__API__PORT") 2>/dev/null; then
  echo "port $AIRFLOW__API__PORT is taken: another Airflow may be running." \
    "Stop it, or choose another with AIRFLOW__API__PORT=8081 make airflow" >&2
  exit 1
fi
mkdir -p "$AIRFLOW_HOME"
echo "Airflow opens on http://$AIRFLOW__API__HOST:$AIRFLOW__API__PORT (no password); Ctrl-C ends it."
exec "$root/.venv-airflow/bin/airflow" standalone
