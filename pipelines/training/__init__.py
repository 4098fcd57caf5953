"""Training: TensorFlow on ranks, one collective between them, one loop on each."""
