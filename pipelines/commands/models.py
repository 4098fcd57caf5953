"""Commands about the versions of a model, and which of them is in use."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipelines.commands.options import OF_LAKE, WITH_SPARK, Options, lake_of, print_json, shares

if TYPE_CHECKING:
    from pipelines.registry.bundle import Bundle


class _Models(TyperGroup):
    """`tidemill models flights` is `tidemill models list flights`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is meant."""
        is_named = bool(args) and args[0] in self.commands
        return super().resolve_command(ctx, args if is_named else ["list", *args])


app = typer.Typer(
    cls=_Models,
    no_args_is_help=True,
    help="Show a model's versions (`tidemill models PIPELINE`), compare two, print a card.",
)

Reason = Annotated[str | None, typer.Option("--reason", help="Why; kept with who and when.")]
By = Annotated[str | None, typer.Option("--by", help="Who says so; by default you.")]
Number = Annotated[int, typer.Argument(metavar="VERSION", min=1)]


@app.command("list")
@shares(*OF_LAKE)
def every(options: Options) -> None:
    """Show all versions: metrics, data, who is champion since when, why others are not."""
    from pipelines.registry.versions import lines, versions

    model = options.pipeline().score.model
    found = versions(lake_of(options), model)
    if options.as_json:
        print_json({"model": model, "versions": [asdict(one) for one in found]})
    else:
        print("\n".join(lines(model, found)))


@app.command()
@shares(*WITH_SPARK)
def compare(options: Options, first: Number, second: Number) -> None:
    """Compare two versions on the same rows: the newer one's test split, resampled by day."""
    from pipelines.scoring.compare import compare

    bundles = [(number, _bundle(options, number)) for number in (first, second)]
    with options.run() as run:
        found = compare(run, bundles[0], bundles[1])
    if options.as_json:
        print_json(asdict(found))
    else:
        print("\n".join(found.lines()))


@app.command()
@shares("env", "lake", "overrides")
def card(
    options: Options,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="By default the champion.")
    ] = None,
) -> None:
    """Print a version's model card: data, metrics with intervals, threshold, limits."""
    from pipelines.registry.card import card

    print(card(_bundle(options, version)), end="")


@shares(*OF_LAKE)
def rollback(options: Options, reason: Reason = None, by: By = None) -> None:
    """Make the version champion again that was it before the last promotion."""
    from pipelines.registry.by_hand import rollback

    model = options.pipeline().score.model
    tell(rollback(lake_of(options), model, by or getpass.getuser(), reason or ""), options)


def tell(moved: Any, options: Options) -> None:
    """Say what a move of the alias did."""
    if options.as_json:
        print_json(asdict(moved))
    else:
        print("\n".join(moved.lines()))


def _bundle(options: Options, version: int | None) -> Bundle:
    from pipelines.registry.bundle import load_bundle
    from pipelines.registry.champion import champion, version_of

    place, model = lake_of(options), options.pipeline().score.model
    found = champion(place, model) if version is None else version_of(place, model, version)
    return load_bundle(found.bundle)
