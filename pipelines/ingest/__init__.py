"""Ingest: files of a landing folder become bronze rows, each file once."""
