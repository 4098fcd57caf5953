"""tidemill: from raw files to Delta tables, trained Keras models and daily predictions."""

__version__ = "0.1.0"
