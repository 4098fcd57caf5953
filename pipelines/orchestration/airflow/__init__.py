"""What the descriptions of DAGs are in Airflow. Only code that runs inside Airflow imports this."""
