"""Spark job of the stage `clean`: spark-submit spark_jobs/clean.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("clean")
