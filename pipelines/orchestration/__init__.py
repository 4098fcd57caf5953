"""From `pipeline.yml` to descriptions of DAGs. Imports neither Spark, TensorFlow nor Airflow."""
