#!/usr/bin/env bash
# Starts Airflow on SQLite, on loopback, with the project's DAGs and the Spark connection in place.
# Its home is data/airflow; the jobs run in the ML environment's spark-submit.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

export AIRFLOW_HOME=${AIRFLOW_HOME:-$root/data/airflow}
export AIRFLOW__CORE__DAGS_FOLDER=$root/dags
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__EXECUTOR=LocalExecutor
export AIRFLOW__CORE__PARALLELISM=${AIRFLOW__CORE__PARALLELISM:-2}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True
export AIRFLOW__API__HOST=${AIRFLOW__API__HOST:-127.0.0.1}
export AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
# Tasks report to the server under an address of their own: left alone it is port 8080, where another
# Airflow may listen that refuses their tokens.
reached_at=$AIRFLOW__API__HOST
[[ $reached_at != 0.0.0.0 ]] || reached_at=127.0.0.1
export AIRFLOW__API__BASE_URL=${AIRFLOW__API__BASE_URL:-http://$reached_at:$AIRFLOW__API__PORT}
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=${AIRFLOW__CORE__EXECUTION_API_SERVER_URL:-http://$reached_at:$AIRFLOW__API__PORT/execution/}
export AIRFLOW_CONN_SPARK_DEFAULT=${AIRFLOW_CONN_SPARK_DEFAULT:-'{"conn_type": "spark", "host": "local[*]"}'}
# The ML environment first, for spark-submit; Airflow starts its parts by the name `airflow`.
export PATH=$root/.venv/bin:$root/.venv-airflow/bin:$PATH
export PYSPARK_PYTHON=$root/.venv/bin/python PYSPARK_DRIVER_PYTHON=$root/.venv/bin/python
export TIDEMILL_ROOT=$root

mkdir -p "$AIRFLOW_HOME"
exec "$root/.venv-airflow/bin/python" "$root/conf/environment/airflow_parts.py" \
  "$root/.venv-airflow/bin/airflow" "$reached_at" "$AIRFLOW__API__PORT"
