"""Ranks: processes of a Spark barrier stage that compute together, lost and started again.

It knows no library that computes: a `Backend` stands for one.
"""
