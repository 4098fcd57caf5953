"""The `tidemill` command. Thin: `pipelines.commands.app` puts its commands together.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 a rule or a gate refused, or most of a
run was put aside, 130 stopped by Ctrl-C (143 by SIGTERM). Results go to stdout, logs and errors to
stderr; with `--json` stdout holds exactly one JSON object, or nothing where the command failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines import stopping

if TYPE_CHECKING:
    import typer


def __getattr__(name: str) -> typer.Typer:
    """Give `app` to those who look into the commands; it is imported when it is needed."""
    if name != "app":
        raise AttributeError(name)
    from pipelines.commands.app import app

    return app


def main() -> None:
    """Be the command `tidemill`, with the process's arguments and exit code."""
    stopping.install()
    from pipelines.commands.app import app

    app(prog_name="tidemill")
