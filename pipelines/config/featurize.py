"""Settings of `featurize`: raw feature values, one row per key and date."""

from __future__ import annotations

from pydantic import Field, model_validator

from pipelines.config.base import Names, Settings


class Featurize(Settings):
    """Settings of the stage `featurize`, which writes `gold.<table>`."""

    table: str
    sql: tuple[str, ...] = ()
    """SQL files in the pipeline's folder, run in order. All but the last define a view of the
    file's name for those that follow; the last one gives the feature rows. They know `:since` and
    `:until`, the first and last day asked for, and `:timezone`, the pipeline's."""
    function: str | None = None
    """`module:function(tables, since, until) -> DataFrame`, instead of `sql`. `tables` maps the
    names in `reads` to DataFrames; `since` and `until` are the first and last day asked for."""
    reads: dict[str, str]
    """Silver tables the queries may read, each with an SQL expression for the time at which its
    rows were available. Names are as in the queries, `silver.flights`."""
    key: Names
    date: str
    """Column with the local day a row belongs to; the table is partitioned by it."""
    prediction_at: str = "prediction_at"
    """Column with the moment (UTC) up to which a row may know things."""
    label: str | None = None
    """Column with the target; null where not (yet) known."""

    label_days: int = Field(0, ge=0)
    """Days after which a row's label is known at the latest. The daily DAG makes the rows of that
    many days again, so that their labels reach the table."""

    @model_validator(mode="after")
    def _one_way(self) -> Featurize:
        if bool(self.sql) == bool(self.function):
            raise ValueError("`featurize` needs either `sql` or `function`, not both")
        return self
