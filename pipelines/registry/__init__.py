"""The registry: bundles, their record in MLflow, the champion, and the gate before it.

from pipelines.registry.champion import champion
from pipelines.registry.bundle import load_bundle

model = champion(lake, "flights_late")   # RegisteredModel(name, version, bundle, ...)
bundle = load_bundle(model.bundle)       # plain data: pickle it, broadcast it
spec = FeatureSpec.from_json(bundle.feature_spec)
keras_model = bundle.load_model()        # {input name: (rows,)} -> probability (rows, 1)
"""
