"""Spark job of the stage `promote`: spark-submit spark_jobs/promote.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("promote")
