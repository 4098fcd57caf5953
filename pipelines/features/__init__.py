"""Features: fitted once as a FeatureSpec, compiled to Spark SQL and to Keras alike."""
