# ruff: noqa: ARG001 - `--debug` is taken up by its callback, commands never look at it
"""Commands that check settings and environment; they need no lake."""

from __future__ import annotations

from dataclasses import asdict

import typer

from pipelines.commands.options import Debug, Env, Json, Names, Set, print_json


def validate(
    names: Names = None,
    env: Env = None,
    overrides: Set = None,
    debug: Debug = False,
) -> None:
    """Check pipelines without Spark: settings, every overlay, the files they name, profiles."""
    from pipelines.config import check
    from pipelines.config.advice import contradictions
    from pipelines.config.load import (
        environments,
        load_document,
        load_pipeline,
        pipeline_names,
        project_root,
    )
    from pipelines.config.problems import located
    from pipelines.errors import SettingsError
    from pipelines.lake.session import check_profiles
    from pipelines.training.models import BUILT_IN

    root = project_root()
    check_profiles(root)
    known = pipeline_names(root)
    if not known:
        raise SettingsError(
            f"there are no pipelines: {root / 'conf'} holds no folder with a pipeline.yml. Run "
            "tidemill in a project's folder, or name that in TIDEMILL_ROOT."
        )
    for name in names or known:
        pipeline = load_pipeline(name, env, tuple(overrides or ()))
        others = environments(pipeline.folder) if env is None else []
        told: list[str] = []
        for other in (env, *others):
            given = (name, other, tuple(overrides or ()))
            one = load_pipeline(*given)
            try:
                check.check_files(one)
                check.check_queries(one)
                check.check_functions(one, sorted(BUILT_IN))
            except SettingsError as error:
                raise located(error, load_document(*given, None, root)) from None
            told += [text for text in contradictions(one) if text not in told]
        for text in told:
            print(f"{name}: warning: {text}.")
        overlays = f", overlays {' '.join(others)}" if others else ""
        print(f"{name}: {check.describe(pipeline)}{overlays}, ok")


def schema() -> None:
    """Write the JSON schema by which editors check and complete pipeline.yml."""
    from pipelines.config.load import project_root
    from pipelines.config.schema import write_schema

    file, changed = write_schema(project_root())
    print(f"{file}: {'written' if changed else 'is current'}")


def doctor(as_json: Json = False) -> None:
    """Say of each part of the environment whether it is there, in which version."""
    from pipelines.doctor import checks

    found = checks()
    if as_json:
        print_json([asdict(check) for check in found])
    else:
        width = max(len(check.name) for check in found) + 2
        for check in found:
            state = "ok" if check.ok else "MISSING" if check.found is None else "WRONG"
            name = f"{check.name:<{width}}"
            print(f"{state:<8}{name}{check.found or '-':<16}expected {check.expected}")
            if not check.ok and check.fix:
                print(f"{'':<8}-> {check.fix}")
    if not all(check.ok for check in found):
        raise typer.Exit(1)
