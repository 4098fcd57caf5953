"""Settings: one validated, frozen model per stage."""

from pipelines.config.pipeline import Pipeline

__all__ = ["Pipeline"]
