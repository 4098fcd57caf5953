"""One pipeline: all its stages' settings, and what must hold between them."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from pipelines.config.clean import Clean
from pipelines.config.column_names import with_columns_of_headers
from pipelines.config.featurize import Featurize
from pipelines.config.ingest import Ingest
from pipelines.config.losses import METRICS
from pipelines.config.maintenance import Maintenance
from pipelines.config.names import Place, silver_table
from pipelines.config.normalize import DateSplit, Normalize
from pipelines.config.privacy import Privacy, check_marks
from pipelines.config.schedule import Schedule
from pipelines.config.score import PREDICTION_COLUMNS, Monitor, Score
from pipelines.config.serve import Serve
from pipelines.config.table_rules import References
from pipelines.config.train import Promote, Train
from pipelines.errors import nearest
from pipelines.settings import Settings, known_zone


class Pipeline(Settings):
    """The settings of a pipeline, as `conf/<name>/pipeline.yml` holds them."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    timezone: str = "UTC"
    """IANA name of the zone whose days `*_date` columns count, and of times without an offset."""
    lake: Place = "data/lake"
    """URI or folder of the lake; a relative path starts at the project's root."""
    landing: Place
    """URI or folder of the landing files; likewise."""
    privacy: Privacy = Privacy()
    ingest: Ingest
    clean: Clean
    featurize: Featurize
    normalize: Normalize
    train: Train
    promote: Promote
    score: Score
    monitor: Monitor = Monitor()
    serve: Serve = Serve()
    maintenance: Maintenance = Maintenance()
    schedule: Schedule | None = None
    folder: Path = Field(default=Path(), exclude=True, json_schema_extra={"hidden": True})
    """Set by the loader: the pipeline's folder, where its SQL files are."""
    root: Path = Field(default=Path(), exclude=True, json_schema_extra={"hidden": True})
    """Set by the loader: the project's root, where relative paths start."""

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        return known_zone(value)

    def zone_of(self, source: str) -> str:
        """Return the zone of a source's times without an offset."""
        return self.ingest.sources[source].timezone or self.timezone

    @model_validator(mode="before")
    @classmethod
    def _sources_of_headers(cls, data: Any) -> Any:
        return with_columns_of_headers(data)

    @model_validator(mode="after")
    def _folds_have_days(self) -> Pipeline:
        split, folds = self.normalize.split, self.train.folds
        if folds and isinstance(split, DateSplit):
            days = sum((last - first).days + 1 for first, last in (split.train, split.validation))
            if days <= folds:
                raise ValueError(
                    f"`train.folds: {folds}` needs {folds + 1} days at least in the training and "
                    f"validation ranges of `normalize.split`, which have {days}"
                )
        return self

    @model_validator(mode="after")
    def _metric_exists(self) -> Pipeline:
        known = METRICS[self.train.task]
        if self.promote.metric not in known:
            raise ValueError(
                f"`promote.metric: {self.promote.metric}` is no metric of a model with "
                f"`train.loss: {self.train.loss}`; expected one of {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _names_are_free(self) -> Pipeline:
        settings = self.featurize
        roles = {"key": settings.key, "label": (settings.label,) if settings.label else ()}
        for role, names in roles.items():
            for name in names:
                if name.lower() in PREDICTION_COLUMNS:
                    raise ValueError(
                        f"`featurize.{role}` names the column '{name}', which predictions have of "
                        "their own. Give it another name in the query"
                    )
        return self

    @model_validator(mode="after")
    def _excluded_features_exist(self) -> Pipeline:
        features = self.normalize.features
        known = [*features, *(one.column for one in features.values() if one.column)]
        for name in self.monitor.drift.exclude:
            if name not in known:
                raise ValueError(
                    f"`monitor.drift.exclude` names '{name}', which is no feature of "
                    f"`normalize.features`.{nearest(name, known)}"
                )
        return self

    def setting(self, name: str) -> Any:
        """Return a setting by its dotted name, as `train.epochs`."""
        return reduce(getattr, name.split("."), self)

    @model_validator(mode="after")
    def _marks_fit(self) -> Pipeline:
        check_marks(self.privacy, self.ingest, self.clean)
        return self

    @model_validator(mode="after")
    def _names_meet(self) -> Pipeline:
        sources = list(self.ingest.sources)
        for name, entity in self.clean.entities.items():
            where = f"`clean.entities.{name}.source: {entity.source}`"
            if entity.source not in sources:
                raise ValueError(
                    f"{where} is not in `ingest.sources`.{nearest(entity.source, sources)}"
                )
            known = [*self.ingest.sources[entity.source].columns]
            for column, treatment in entity.columns.items():
                origin = treatment.source or column
                if origin not in known:
                    raise ValueError(
                        f"`clean.entities.{name}.columns.{column}` reads '{origin}', which is no "
                        f"column of source '{entity.source}'.{nearest(origin, known)}"
                    )
            silver = [*entity.columns, *entity.derive]
            for part in entity.key:
                if part not in silver:
                    raise ValueError(
                        f"`clean.entities.{name}.key` names '{part}', which is no column of the "
                        f"entity.{nearest(part, silver)}"
                    )
        tables = [silver_table(name) for name in self.clean.entities]
        self._check_references(tables)
        for table in self.featurize.reads:
            if table not in tables:
                raise ValueError(
                    f"`featurize.reads` names '{table}', which no entity of `clean` writes."
                    f"{nearest(table, tables)}"
                )
        return self

    @model_validator(mode="after")
    def _tables_are_not_the_same(self) -> Pipeline:
        features, training_set = self.featurize.table, self.normalize.training_set
        if features in (training_set, f"{training_set}_folds"):
            raise ValueError(
                f"`featurize.table: {features}` and `normalize.training_set: {training_set}` would "
                "be written into one table (the folds of a training set are called "
                f"{training_set}_folds); expected two names"
            )
        return self

    def _check_references(self, tables: list[str]) -> None:
        places = {f"clean.entities.{n}": e.table_rules for n, e in self.clean.entities.items()}
        for place, rules in {**places, "featurize": self.featurize.table_rules}.items():
            known = list(self.featurize.reads) if place == "featurize" else tables
            for rule in rules:
                if not isinstance(rule, References):
                    continue
                where = f"`{place}.table_rules`: '{rule.name}'"
                if rule.table not in known:
                    raise ValueError(
                        f"{where} names the table '{rule.table}'; expected one of "
                        f"{', '.join(known)}.{nearest(rule.table, known)}"
                    )
                by_table = {silver_table(n): e for n, e in self.clean.entities.items()}
                entity = by_table[rule.table]
                columns = [*entity.columns, *entity.derive]
                for name in rule.their_columns:
                    if name not in columns:
                        raise ValueError(
                            f"{where}: {rule.table} has no column '{name}'.{nearest(name, columns)}"
                        )
