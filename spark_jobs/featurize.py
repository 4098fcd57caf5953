"""Spark job of the stage `featurize`: spark-submit spark_jobs/featurize.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("featurize")
