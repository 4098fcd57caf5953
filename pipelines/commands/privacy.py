"""Commands about personal data: who leaves the lake, and which key stands for those who stay."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.commands.options import WITH_SPARK, Options, print_json, shares


@shares(*WITH_SPARK)
def erase(
    options: Options,
    key: Annotated[
        list[str],
        typer.Option("--key", metavar="COLUMN=VALUE", help="Once for each column of the key."),
    ],
) -> None:
    """Erase a subject's rows from every table of the lake, and from their history.

    Stopped or killed, the same command goes on; repeated, it does nothing twice.
    """
    from pipelines.erasure.erase import erase as erase_subject

    with options.run() as run:
        record = erase_subject(run, key)
    if options.as_json:
        print_json(asdict(record))
    else:
        print("\n".join(record.lines()))


@shares(*WITH_SPARK)
def rotate(
    options: Options,
) -> None:
    """Bring all pseudonyms of the pipeline's tables to the last key of `privacy.keys`.

    It waits for stages that are at work, but for `score` and `ingest`: rotate again after those.
    """
    from contextlib import ExitStack

    from pipelines.maintenance.tidy import owned_tables
    from pipelines.maintenance.vacuum import tables_of
    from pipelines.privacy.keys import check_keys, note_keys
    from pipelines.privacy.rotate import rotate_tables
    from pipelines.runner import one_at_a_time
    from pipelines.stages.catalog import STAGES

    with options.run() as run, ExitStack() as alone:
        # One that began under the older keys would write their pseudonyms beside the new ones.
        for stage in STAGES:
            if stage.rewrites_pseudonyms:
                alone.enter_context(one_at_a_time(stage, run))
        keys = run.pipeline.privacy.keys
        # A training set has a layout of its own: `normalize` makes it anew. Another pipeline's
        # pseudonyms are of its own keys, whatever these are called.
        made_anew = {str(table) for table in run.tables.made_anew}
        owned = owned_tables(run.spark, run.lake, run.pipeline)
        tables = [name for name in owned if name not in made_anew]
        left = sorted({*tables_of(run.spark, run.lake)} - {*owned})
        check_keys(run.spark, run.lake, options.name, keys, may_be_more=True)
        changed = rotate_tables(run.spark, run.lake, tables, keys) if keys else {}
        if keys:  # noted last: until then no stage writes
            note_keys(run.spark, run.lake, options.name, keys)
    if options.as_json:
        print_json({"key": keys[-1] if keys else None, "tables": changed, "left": left})
    else:
        lines = [f"{table}: {count} rows" for table, count in changed.items()]
        lines = lines or ["nothing to rotate"]
        if left:
            lines.append(f"left alone, not of {options.name} as it is set now: {', '.join(left)}")
        print("\n".join(lines))
