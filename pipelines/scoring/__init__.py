"""Batch scoring: the champion's predictions for feature rows, computed on executors."""
