"""The command that answers over HTTP."""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from pipelines.commands.options import WITH_SPARK, Options, lake_of, print_json, shares
from pipelines.terminal import set_up_logging

TOKEN = "TIDEMILL_SERVE_TOKEN"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
GRACE_SECONDS = 30


@shares(*WITH_SPARK, "date")
def explain(
    options: Options,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Rows that fulfil this alone.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many rows.")] = 3,
    top: Annotated[int, typer.Option("--top", min=1, help="Columns to tell of.")] = 5,
) -> None:
    """Say what made the champion say what it says of some feature rows; writes nothing."""
    from pipelines.config.threshold import in_training
    from pipelines.reasons.words import in_words
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.champion import champion
    from pipelines.scoring.days import chosen_rows
    from pipelines.serving.predictor import Predictor

    model = champion(lake_of(options), options.pipeline().score.model)
    with options.run() as run:
        rows = [row.asDict() for row in chosen_rows(run, where, limit)]
        predictor = Predictor(load_bundle(model.bundle), in_training(run.pipeline.score.threshold))
        said, reasons = predictor(rows).rows(), predictor.explain(rows, top)
    names = options.pipeline().featurize.grain
    keys = [{name: row[name] for name in names} for row in rows]
    if options.as_json:
        found = zip(keys, said, reasons, strict=True)
        print_json(
            {
                "model": model.name,
                "model_version": model.version,
                "rows": [{"key": k, **p, "explanation": r} for k, p, r in found],
            }
        )
        return
    print(f"{model.name} version {model.version}")
    for key, row, prediction, reason in zip(keys, rows, said, reasons, strict=True):
        print("\n" + ", ".join(f"{name}={value}" for name, value in key.items()))
        print("\n".join(in_words(row, prediction, reason)))


@shares("env", "lake", "overrides")
def serve(
    options: Options,
    host: Annotated[
        str, typer.Option("--host", help=f"Any but loopback needs a token in {TOKEN}.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8080,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="FILE", help="TLS certificate (PEM).")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="Its private key (PEM).")
    ] = None,
) -> None:
    """Answer requests with the champion: raw values in, predictions out."""
    from pipelines.errors import UsageError

    set_up_logging(is_watched=False)
    token = os.environ.get(TOKEN) or None
    if host not in _LOOPBACK and token is None:
        raise UsageError(
            f"--host {host} can be reached from other machines, so requests need a token. Put one "
            f"into the environment as {TOKEN}, or leave --host out."
        )
    if (certificate is None) != (key is None):
        raise UsageError("--certificate and --key go together; give both, or neither.")
    settings, place = options.pipeline(), lake_of(options)

    import uvicorn

    from pipelines.config.threshold import in_training
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.champion import champion
    from pipelines.serving.access import AccessLog, silent
    from pipelines.serving.app import make_app
    from pipelines.serving.models import Champion
    from pipelines.serving.predictor import Predictor

    threshold = in_training(settings.score.threshold)
    held = Champion(
        lambda: champion(place, settings.score.model),
        lambda model: Predictor(load_bundle(model.bundle), threshold),
        settings.serve.reload_seconds,
    )
    held.watch()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The server takes signals itself: it lets requests end, then hands the signal on to these.
        signal.signal(number, lambda *_: None)
    uvicorn.run(
        make_app(held, settings.serve, token, AccessLog() if settings.serve.access_log else silent),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
