"""A bundle as a function and over HTTP: raw feature values in, predictions out."""
