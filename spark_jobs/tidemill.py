"""Any command as a Spark job: spark-submit spark_jobs/tidemill.py clean PIPELINE [options]."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
