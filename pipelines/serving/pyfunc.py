"""A bundle as MLflow's `python_function`: what its `MLmodel` file names as the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


class PyFunc:
    """What `mlflow.pyfunc` calls: a pandas DataFrame of raw values in, one of predictions out."""

    def __init__(self, folder: str) -> None:
        from pipelines.registry.bundle import load_bundle
        from pipelines.serving.predictor import Predictor

        self._predictor = Predictor(load_bundle(folder))

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """Return a row of predictions for each row: the columns of `Predictions.rows`."""
        import pandas as pd

        return pd.DataFrame(self._predictor(data).rows())


def _load_pyfunc(path: str) -> PyFunc:
    """Load a bundle's folder: MLflow asks for this name."""
    return PyFunc(path)
