"""How the command line speaks: logs and errors to stderr, results to stdout, exit codes."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from pipelines import stopping
from pipelines.errors import DEBUG, TidemillError, nearest, wants_traces
from pipelines.secrecy import hide, hide_in_logs

STOPPED = 130


class Group(TyperGroup):
    """Commands whose errors become a message on stderr and an exit code."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the options in front of the command."""
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            raise _wrong_usage(error) or error from error

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except TidemillError as error:
            raise _end(str(error), error.exit_code) from error
        except KeyboardInterrupt as error:
            stopping.stop(signal.SIGINT)
            raise _end(stopping.said(signal.SIGINT), STOPPED) from error
        except Exception as error:
            # Typer's own (wrong usage, Exit) know how to show themselves.
            is_typers = isinstance(error, (typer.Exit, typer.Abort)) or hasattr(error, "show")
            if is_typers or isinstance(error, BrokenPipeError):
                raise _wrong_usage(error) or error from error
            message = (
                f"unexpected {type(error).__name__}: {_headline(error)[:300]}\n"
                f"The stack trace is shown with --debug (or {DEBUG}=1)."
            )
            raise _end(message, 1) from error


def _end(message: str, exit_code: int) -> typer.Exit:
    """Show an error, with its trace if wanted; return what ends the command."""
    if wants_traces():
        sys.stderr.write(hide(traceback.format_exc()))
    typer.echo(f"tidemill: {hide(message)}", err=True)
    return typer.Exit(exit_code)


def _wrong_usage(error: Exception) -> typer.Exit | None:
    """Show wrong usage in one line, with the near match; None for what is none, or shows help."""
    if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
        return None
    context: Any = getattr(error, "ctx", None)
    said = str(error.format_message()).replace("Value error, ", "")
    given = getattr(error, "option_name", "")
    if given.startswith("-") and said.startswith("No such option"):
        options = [name for one in context.command.get_params(context) for name in one.opts]
        said = f"no option '{given}'.{nearest(given, options) or _setting(given)}"
    if "does not match the format" in said:
        said = f"{said.partition(' does not match')[0]} is no day; expected YYYY-MM-DD."
        said += _day_meant(said)
    path = context.command_path if context else "tidemill"
    more = f" `{path} --help` shows what there is."
    if "Did you mean" in said or "--set" in said:
        more = ""
    return _end(f"{said[0].lower()}{said[1:]}{more}", int(getattr(error, "exit_code", 2)))


def _setting(option: str) -> str:
    """Say how a setting is given that somebody took for an option; nothing of other names."""
    from pipelines.config.pipeline import Pipeline

    name = option.lstrip("-").replace("-", "_")
    for stage, field in Pipeline.model_fields.items():
        if name in getattr(field.annotation, "model_fields", {}):
            return f" It is a setting: --set {stage}.{name}=VALUE."
    return ""


def _day_meant(said: str) -> str:
    """Return the day that a message quotes in another form."""
    text = re.sub(r"^.*: '(.*)'.*$", r"\1", said)
    for pattern in ("%d.%m.%Y", "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d"):
        with contextlib.suppress(ValueError):
            return f" Did you mean {dt.datetime.strptime(text, pattern).date()}?"
    return ""


def _headline(error: Exception) -> str:
    """Return the line of an error that says most: of a Java error, its deepest cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    # Py4J tells first where it was called, then what happened.
    thrown = [line for line in lines if line.startswith(": ")]
    return (causes[-1:] or thrown[:1] or lines[:1] or ["without a message"])[0].lstrip(": ")


def want_traces(is_wanted: bool) -> bool:
    """Remember that stack traces are wanted, here and in what is started from here."""
    if is_wanted:
        os.environ[DEBUG] = "1"
    return is_wanted


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr at that moment: progress bars put themselves in its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The stream of this moment."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Keep nothing."""


def set_up_logging(*, is_watched: bool) -> None:
    """Send logs to stderr; where progress is drawn (`is_watched`), warnings only.

    What libraries say of themselves (deprecations, devices found) stays away unless traces are
    wanted.
    """
    hide_in_logs()
    is_debug = wants_traces()
    handler = _Stderr()
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    quiet = is_watched and not is_debug
    logging.getLogger("pipelines").setLevel(logging.WARNING if quiet else logging.INFO)
    if not is_debug:
        # Py4J logs the stack of every call that Ctrl-C interrupts.
        # Spark's errors of queries log themselves when they are made, on handlers of their own:
        # the stack, and what the message quotes, some of which may be a row's.
        for name in ("py4j", "SQLQueryContextLogger", "DataFrameQueryContextLogger"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.simplefilter("ignore")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the Python workers


@contextlib.contextmanager
def results_only() -> Iterator[None]:
    """Keep stdout for results: whatever else is printed inside goes to stderr.

    That holds for the JVM and other children too, as they are started with these streams.
    """
    with contextlib.redirect_stdout(sys.stderr):
        if not _is_real_stdout():
            yield
            return
        sys.__stdout__.flush()  # type: ignore[union-attr]
        kept = os.dup(1)
        os.dup2(2, 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _is_real_stdout() -> bool:
    try:
        return sys.__stdout__ is not None and sys.__stdout__.fileno() == 1
    except (OSError, ValueError):
        return False
