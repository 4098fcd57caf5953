"""Encoding: how raw columns become model inputs, one definition for Spark SQL and for Keras.

It knows neither lake nor session, so that whatever answers for a model can stand on it.
"""
