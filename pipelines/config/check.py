"""What can be checked of a pipeline without Spark, beyond its settings: the files they name."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.config.functions import check_function
from pipelines.config.load import decode
from pipelines.config.pipeline import Pipeline
from pipelines.config.sql_text import refuse_files
from pipelines.errors import SettingsError, nearest


def check_files(pipeline: Pipeline) -> None:
    """Raise SettingsError where a SQL file that `featurize.sql` names isn't there."""
    known = sorted(file.name for file in pipeline.folder.glob("**/*.sql"))
    absent = [name for name in pipeline.featurize.sql if not (pipeline.folder / name).is_file()]
    if absent:
        place = f"conf/{pipeline.name}"
        lines = [
            f"`featurize.sql` names '{name}', which is no file in {place}.{nearest(name, known)}"
            for name in absent
        ]
        raise SettingsError("\n".join(lines))


def check_functions(pipeline: Pipeline, models: Sequence[str]) -> None:
    """Raise SettingsError where settings name a model or a function that isn't there.

    `models` are the built-in ones. Nothing is imported to look.
    """
    if pipeline.featurize.function is not None:
        check_function("featurize.function", pipeline.featurize.function)
    model = pipeline.train.model
    if ":" in model:
        check_function("train.model", model)
    elif model not in models:
        raise SettingsError(
            f"`train.model: {model}` is unknown; expected one of {', '.join(models)} or "
            f"`module:function`.{nearest(model, list(models))}"
        )


def check_queries(pipeline: Pipeline) -> None:
    """Raise SettingsError where a SQL file of `featurize` reads a file, or is no UTF-8."""
    for name in pipeline.featurize.sql:
        where = f"conf/{pipeline.name}/{name}"
        text = decode((pipeline.folder / name).read_bytes(), where)
        try:
            refuse_files(text, where)
        except ValueError as error:
            raise SettingsError(f"{error}.") from None


def describe(pipeline: Pipeline) -> str:
    """Return what a pipeline is made of, in one line."""
    entities = pipeline.clean.entities.values()
    parts = {
        "sources": len(pipeline.ingest.sources),
        "entities": len(entities),
        "columns": sum(len(entity.columns) + len(entity.derive) for entity in entities),
        "rules": sum(len(entity.rules) for entity in entities),
        "features": len(pipeline.normalize.features),
    }
    counted = ", ".join(f"{count} {name}" for name, count in parts.items())
    return f"{counted}, model {pipeline.train.model} -> {pipeline.score.model}"
