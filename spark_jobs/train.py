"""Spark job of the stage `train`: spark-submit spark_jobs/train.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("train")
