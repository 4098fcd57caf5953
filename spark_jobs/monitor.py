"""Spark job of the stage `monitor`: spark-submit spark_jobs/monitor.py PIPELINE [options]."""

from pipelines.cli import stage_main

if __name__ == "__main__":
    stage_main("monitor")
