"""Spark job of the stage `ingest`: spark-submit spark_jobs/ingest.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("ingest")
