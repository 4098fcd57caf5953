"""Every table of a pipeline, and of a lake: the one place where their names are made. Pure.

Whoever names a table, or lists tables, asks here. A new table is a line here; what keeps, rotates,
sums up and erases tables then knows of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.config.names import silver_table
from pipelines.lake.catalog import Table

if TYPE_CHECKING:
    from pipelines.config import Pipeline

_REJECTED = "_rejected"

DELIVERED = ("_source_file", "_source_modified_at", "_row")
"""What names a row of bronze and of quarantine: its file, the file's time, its number."""

RUNS = Table("monitoring", "runs", key=("run_id", "stage", "started_at"))
"""One row for each time a stage came to its end."""
ERASURES = Table("monitoring", "erasures", key=("erasure_id",))
"""One row for each erasure that was finished."""
RELEASES = Table("monitoring", "quarantine_releases")
"""Who put which rejected row back, when, and with which changes."""
SHARED = (RUNS, ERASURES, RELEASES)
"""Tables that all pipelines of a lake write into."""


def bronze(source: str) -> Table:
    """Return the table of a source's records, as they came."""
    return Table("bronze", source)


def rejected(source: str) -> Table:
    """Return the table of a source's malformed records and bad files."""
    return Table("bronze", f"{source}{_REJECTED}")


def is_rejected(table: Table | str) -> bool:
    """Tell whether a table, of whatever pipeline, is such a one."""
    table = Table.parse(str(table))
    return table == rejected(table.name.removesuffix(_REJECTED)) and table.name != _REJECTED


def ledger(source: str) -> Table:
    """Return the table of every file of a source that was consumed, and what became of it."""
    return Table("bronze", f"{source}_files")


def ledger_of(table: Table | str) -> Table:
    """Return the ledger that stands beside a bronze table of records."""
    return ledger(Table.parse(str(table)).name)


def silver(entity: str, key: tuple[str, ...] = ()) -> Table:
    """Return the table of an entity's clean rows."""
    return Table.parse(silver_table(entity), key=key)


def quarantine(entity: str) -> Table:
    """Return the table of the rows that were kept out of an entity, with their reasons."""
    return Table("quarantine", entity, key=DELIVERED)


@dataclass(frozen=True)
class PipelineTables:
    """The tables of a pipeline as its settings are now."""

    pipeline: Pipeline

    def silver(self, entity: str) -> Table:
        """Return the table of an entity's clean rows."""
        return silver(entity, tuple(self.pipeline.clean.entities[entity].key))

    @property
    def features(self) -> Table:
        """Raw feature values, one row per key and date."""
        settings = self.pipeline.featurize
        grain = tuple(settings.grain)
        return Table("gold", settings.table, key=grain, partition_by=(settings.date,))

    @property
    def training_set(self) -> Table:
        """Rows ready to train on. The column of the split may be called `split_` and so on."""
        return self._trained_on(self.pipeline.normalize.training_set)

    @property
    def folds(self) -> Table:
        """The folds of the training set: made where `train.folds` asks for them."""
        return self._trained_on(f"{self.pipeline.normalize.training_set}_folds")

    def _trained_on(self, name: str) -> Table:
        return Table("gold", name, key=("split", "_position"), partition_by=("split",))

    @property
    def predictions(self) -> Table:
        """What was predicted, by which version of the model."""
        key = (*self.pipeline.featurize.key, "scoring_date", "model_version")
        name = self.pipeline.score.model
        return Table("predictions", name, key=key, partition_by=("scoring_date",))

    @property
    def quality(self) -> Table:
        """Checks of rows, by logical date."""
        return self._judged("quality")

    @property
    def drift(self) -> Table:
        """How far each feature has moved since training, by logical date."""
        return self._judged("drift", "feature")

    @property
    def performance(self) -> Table:
        """How good the predictions of each day were, by logical date."""
        return self._judged("performance", "scoring_date", "model_version")

    def _judged(self, subject: str, *key: str) -> Table:
        name, by = f"{self.pipeline.score.model}_{subject}", ("logical_date",)
        return Table("monitoring", name, key=(*by, *key) if key else (), partition_by=by)

    @property
    def of_sources(self) -> tuple[Table, ...]:
        """The tables of each source: its records, its rejected ones, its ledger."""
        sources = self.pipeline.ingest.sources
        return tuple(t for name in sources for t in (bronze(name), rejected(name), ledger(name)))

    @property
    def of_entities(self) -> tuple[Table, ...]:
        """The tables of each entity: its rows, and those kept out."""
        entities = self.pipeline.clean.entities
        return tuple(t for name in entities for t in (self.silver(name), quarantine(name)))

    @property
    def of_data(self) -> tuple[Table, ...]:
        """The tables that data passes, in the order of its way."""
        sources, entities = self.pipeline.ingest.sources, self.pipeline.clean.entities
        return (
            *(table for source in sources for table in (bronze(source), rejected(source))),
            *(self.silver(entity) for entity in entities),
            *(quarantine(entity) for entity in entities),
            *(self.features, self.training_set, self.folds, self.predictions),
            *(self.quality, self.drift, self.performance),
        )

    @property
    def every(self) -> tuple[Table, ...]:
        """All tables that the pipeline writes: those of data, its ledgers, and the shared ones."""
        ledgers = (ledger(source) for source in self.pipeline.ingest.sources)
        return (*self.of_data, *ledgers, *SHARED)

    @property
    def made_anew(self) -> tuple[Table, ...]:
        """Tables with a layout of their own, which only the stage that made them may rewrite."""
        return (self.training_set, self.folds)
