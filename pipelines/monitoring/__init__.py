"""Monitoring: data quality, drift of features, performance once labels are known, the report."""
