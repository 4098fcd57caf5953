# `make` lists what there is to do.

PIPELINE ?= flights
VENV := $(CURDIR)/.venv
AIRFLOW_VENV := $(CURDIR)/.venv-airflow

export PATH := $(VENV)/bin:$(PATH)
# Spark's Python workers are those of the ML environment, whoever starts the session.
export PYSPARK_PYTHON := $(VENV)/bin/python
export PYSPARK_DRIVER_PYTHON := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Another Spark, or another project's modules, must not come before ours.
unexport SPARK_HOME PYTHONPATH

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-checks setup-airflow setup-servers run serve test test-all test-dags test-unit lint format bench bench-model airflow doctor notebooks clean

help:  ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

setup:  ## Set up the ML environment: packages, Horovod, Delta jars (done once)
	@conf/environment/setup.sh ml

# As far as lint, types and unit tests need it: no jars, no Horovod.
setup-checks:
	@conf/environment/setup.sh checks

setup-airflow:
	@conf/environment/setup.sh airflow

# S3 and PostgreSQL for tests.
setup-servers:
	@conf/environment/setup.sh servers

run: setup  ## Run the flights pipeline from landing files to predictions and a report
	@tidemill story $(PIPELINE)

serve: setup  ## Answer over HTTP with the champion, on loopback (after `make run`)
	@tidemill serve $(PIPELINE)

test: setup setup-airflow setup-servers  ## Lint, types, import layers and the suite without its slow part
	@python tests/suite.py

test-all: setup setup-airflow setup-servers  ## The same with the slow part: kills by the dozen, servers
	@python tests/suite.py --all

# Airflow has an environment of its own; its tests use the ML environment's spark-submit.
test-dags: setup setup-airflow
	$(AIRFLOW_VENV)/bin/python -m pytest tests/dags

test-unit: setup-checks  ## Only the tests that need neither Spark nor TensorFlow (seconds)
	pytest -m "not spark and not tensorflow and not end_to_end and not slow and not whole_environment"

lint: setup-checks  ## Lint, format, types and import layers, changing nothing
	ruff check .
	ruff format --check .
	lint-imports --no-logo
	mypy

format: setup-checks  ## Put the code in order
	ruff check --fix .
	ruff format .

bench: setup  ## Measure feed and training side by side with other ways; write bench.json
	@python -m tests.benchmarks

bench-model: setup  ## Set the champion beside gradient-boosted trees (after `make run`)
	@python tests/benchmarks/compare_with_boosted_trees.py

airflow: setup setup-airflow  ## Start Airflow with the project's DAGs
	@conf/environment/airflow.sh

doctor: setup  ## Show each part of the environment and its version
	@tidemill doctor

notebooks: setup  ## Open the notebooks
	@jupyter lab notebooks

clean:  ## Remove the environments and caches (kept: data, the Horovod wheel, the jars)
	rm -rf .venv .venv-airflow .venv-servers .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf *.egg-info build dist spark-warehouse artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
