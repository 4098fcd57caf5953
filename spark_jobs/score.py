"""Spark job of the stage `score`: spark-submit spark_jobs/score.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("score")
