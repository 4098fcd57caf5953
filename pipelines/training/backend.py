"""Ranks that compute with TensorFlow and are joined by Horovod."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import TrainingError
from pipelines.quiet import load_tensorflow
from pipelines.training.collective import Horovod, SingleProcess

_GPUS = "CUDA_VISIBLE_DEVICES"
_COLLECTIVE_KINDS = {
    "HorovodInternalError",
    "RuntimeError",
    *("AbortedError", "CancelledError", "FailedPreconditionError", "InternalError"),
    *("InvalidArgumentError", "UnavailableError", "UnknownError"),
}
"""As what Horovod, and TensorFlow for it, tell of a broken connection."""
_IMAGE = r"assertion failed: \[(an image in column .*?)\]\s*(?:\[\[|\n|$)"
_RAISED = r"(?:^|\}\} )(\w+): (.*?)\nTraceback \(most"


@dataclass(frozen=True)
class TensorFlow:
    """The backend of `ranks.launcher.launch`."""

    def prepare(self, threads: int, gpus: Sequence[str] = ()) -> None:
        """Hold TensorFlow to its cores and GPUs. Must come before anything imports it.

        With more threads than cores ranks of one host fight each other: two of them were slower
        than one. Raises TrainingError where the process has TensorFlow already, and with it other
        GPUs or threads: neither can be changed any more.
        """
        if gpus:
            _check_gpus(gpus)
            os.environ[_GPUS] = ",".join(gpus)
        else:
            os.environ.setdefault(_GPUS, "-1")
        os.environ["OMP_NUM_THREADS"] = str(threads)
        load_tensorflow(threads)
        _check_threads(threads)

    def load_collective(self) -> None:
        """Import Horovod, which takes seconds."""
        import horovod.tensorflow as _  # noqa: F401

    def joined(self) -> Horovod:
        """Join the ranks that Horovod finds in the environment."""
        return Horovod()

    def alone(self) -> SingleProcess:
        """Return one rank without Horovod."""
        return SingleProcess()

    def told(self, error: BaseException) -> tuple[str, str] | None:
        """Return what Python, or the decoder of images, had raised inside a graph."""
        return _told_by_python(error) or _told_of_an_image(error)

    def is_of_collective(self, kind: str, message: str) -> bool:
        """Tell whether an error is Horovod's own."""
        return kind in _COLLECTIVE_KINDS and "horovod" in f"{kind} {message}".lower()


def _check_gpus(gpus: Sequence[str]) -> None:
    if "tensorflow" in sys.modules and os.environ.get(_GPUS) != ",".join(gpus):
        raise TrainingError(
            f"GPU {', '.join(gpus)} can't be given to a rank whose Python worker has imported "
            f"TensorFlow before, with {_GPUS}={os.environ.get(_GPUS)}. Expected a fresh "
            "worker: don't import TensorFlow at Python's start (sitecustomize, PYTHONSTARTUP)."
        )


def _check_threads(threads: int) -> None:
    import tensorflow as tf

    found = tf.config.threading.get_intra_op_parallelism_threads()
    if found != threads:
        raise TrainingError(
            f"TensorFlow computes with {found} threads in this Python worker, expected {threads}: "
            "it was imported and used before the rank began. Don't use it at Python's start."
        )


def _told_by_python(error: BaseException) -> tuple[str, str] | None:
    """Return what a Python function in a TensorFlow graph (the feed's) had raised."""
    if "PyFunc" not in str(error):
        return None
    found = re.search(_RAISED, str(error), re.DOTALL | re.MULTILINE)
    return (found[1], found[2]) if found else None


def _told_of_an_image(error: BaseException) -> tuple[str, str] | None:
    """Return what the feed says inside the graph of an image that it can't decode."""
    found = re.search(_IMAGE, str(error), re.DOTALL)
    return ("FeedError", re.sub(r"\] \[", " ", found[1])) if found else None
