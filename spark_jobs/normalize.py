"""Spark job of the stage `normalize`: spark-submit spark_jobs/normalize.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("normalize")
