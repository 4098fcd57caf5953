"""The lake from a notebook: tables, their versions, predictions with what came true.

from pipelines.explore import explore

flights = explore("flights")
flights.tables()
flights.read("silver.flights").limit(5).toPandas()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.config import Pipeline
from pipelines.config.load import load_pipeline
from pipelines.lake.catalog import Lake, Table
from pipelines.lake.read import latest_version, read_at
from pipelines.lake.tables import PipelineTables
from pipelines.runner import open_run
from pipelines.summary import gather

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.registry.bundle import Bundle


@dataclass(frozen=True)
class Explorer:
    """A pipeline's lake, open for reading."""

    pipeline: Pipeline
    lake: Lake
    spark: SparkSession

    def tables(self) -> pd.DataFrame:
        """Return the pipeline's tables with their newest version and number of rows."""
        import pandas as pd

        found = gather(self.pipeline, self.lake).tables
        return pd.DataFrame(
            [(fact.table, fact.version, fact.num_rows) for fact in found],
            columns=["table", "version", "num_rows"],
        )

    def read(self, table: str, version: int | None = None) -> DataFrame:
        """Return a table, at its newest version unless one is given.

        Raises TableNotFound or VersionNotFound.
        """
        name = Table.parse(table)
        if version is None:
            version = latest_version(self.spark, self.lake, name)
        return read_at(self.spark, self.lake, name, version)

    def history(self, table: str) -> pd.DataFrame:
        """Return a table's versions, newest first: when and by which operation each was made.

        Raises TableNotFound.
        """
        from delta.tables import DeltaTable

        latest_version(self.spark, self.lake, table)
        commits = DeltaTable.forPath(self.spark, self.lake.path(Table.parse(table))).history()
        return commits.select("version", "timestamp", "operation", "operationMetrics").toPandas()

    def predictions(self) -> DataFrame:
        """Return the predictions, each with its label (null until it has arrived).

        They meet by key and date, the date of a prediction being its `scoring_date`.
        """
        from pipelines.features.grain import by_feature_date, joined

        settings, tables = self.pipeline.featurize, PipelineTables(self.pipeline)
        predictions = by_feature_date(self.read(str(tables.predictions)), settings.date)
        features = self.read(str(tables.features))
        label = [settings.label] if settings.label else []
        labels = features.select(*settings.grain, *label)
        return joined(predictions, labels, settings.grain, "left")

    def champion(self) -> Bundle:
        """Return the bundle of the model in use. Raises NoChampion where there is none."""
        from pipelines.registry.bundle import load_bundle
        from pipelines.registry.champion import champion

        return load_bundle(champion(self.lake, self.pipeline.score.model).bundle)


def explore(name: str, env: str | None = None, lake: str | None = None) -> Explorer:
    """Open a pipeline's lake; `env` and `lake` are those of the command line."""
    run = open_run(load_pipeline(name, env, (), lake))
    return Explorer(run.pipeline, run.lake, run.spark)
