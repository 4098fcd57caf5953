"""Training: ranks in a Spark barrier stage, one collective between them, one loop on each."""
