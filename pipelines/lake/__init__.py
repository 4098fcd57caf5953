"""The lake: Spark session, names and places of tables, reading at a version, safe writes."""
