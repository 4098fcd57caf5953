"""What can be checked of a pipeline without Spark, beyond its settings: the files they name."""

from __future__ import annotations

from pipelines.config.pipeline import Pipeline
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


def check_function(pipeline: Pipeline) -> None:
    """Raise SettingsError where `featurize.function` is not given as `module:function`."""
    given = pipeline.featurize.function
    module, _, function = (given or "a:b").partition(":")
    if not (module and function.isidentifier()):
        raise SettingsError(
            f"`featurize.function: {given}` should be like `my_package.features:build`."
        )


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
