"""Which model is in use: the version of a registered model that carries the alias `champion`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import NoChampion, UsageError
from pipelines.registry import history, tracking

if TYPE_CHECKING:
    from pipelines.lake.catalog import Lake

ALIAS = "champion"


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a registered model. `bundle` is the folder for `load_bundle`."""

    name: str
    version: int
    bundle: str
    run_id: str
    """The tidemill run that trained it."""


def champion(lake: Lake, model: str) -> RegisteredModel:
    """Return the champion of a model; raise NoChampion where there is none."""
    found = find_champion(lake, model)
    if found is None:
        raise NoChampion(
            f"no version of model '{model}' carries the alias `{ALIAS}` in {lake.root}. "
            "Run `tidemill train` and `tidemill promote` first."
        )
    return found


def find_champion(lake: Lake, model: str) -> RegisteredModel | None:
    """Return the champion of a model, or None where there is none yet."""
    return _registered(tracking.version_by_alias(lake, model, ALIAS))


def candidate(lake: Lake, model: str, run_id: str | None = None) -> RegisteredModel:
    """Return the version that a run trained, or the newest one; raise NoChampion without one."""
    found = _registered(tracking.newest_version(lake, model, run_id))
    if found is None:
        whose = f" of run {run_id}" if run_id else ""
        raise NoChampion(
            f"there is no version{whose} of model '{model}' in {lake.root} to promote. "
            "Run `tidemill train` first."
        )
    return found


def version_of(lake: Lake, model: str, version: int) -> RegisteredModel:
    """Return a version; raise UsageError, which names the versions there are, without it."""
    known = {one.version: one for one in tracking.all_versions(lake, model)}
    if version not in known:
        raise UsageError(
            f"model '{model}' has no version {version} in {lake.root}; there are "
            f"{', '.join(map(str, sorted(known))) or 'none'}."
        )
    one = known[version]
    return RegisteredModel(one.name, one.version, one.bundle, one.run_id)


def model_of_run(lake: Lake, model: str, run_id: str) -> RegisteredModel | None:
    """Return the version that a run trained, or None."""
    return _registered(tracking.newest_version(lake, model, run_id))


def register(
    lake: Lake, model: str, record: tracking.TrainingRecord, bundle: str
) -> RegisteredModel:
    """Record a training and return its registered version, the one it has if it has one."""
    found = tracking.record_training(lake, model, record, bundle)
    return RegisteredModel(found.name, found.version, found.bundle, found.run_id)


def make_champion(
    lake: Lake,
    model: RegisteredModel,
    kind: history.Kind = "gate",
    by: str = "",
    reason: str = "",
) -> None:
    """Move the alias `champion` to a version, and record who did so and why."""
    tracking.set_alias(lake, model.name, ALIAS, model.version)
    history.note_move(lake, model.name, model.version, kind, by, reason)


def _registered(found: tracking.ModelVersion | None) -> RegisteredModel | None:
    if found is None:
        return None
    return RegisteredModel(found.name, found.version, found.bundle, found.run_id)
