"""Erasure: one subject's rows leave every table of a lake, its history included."""
