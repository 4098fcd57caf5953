"""Maintenance: what versions a lake must still hold, what can go, and how tables are kept tidy."""
