"""Importing TensorFlow without the lines its C++ part writes before any log level counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def load_tensorflow(threads: int | None = None) -> Any:
    """Return the module `tensorflow`, held to `threads` threads where it has not computed yet.

    Call it before anything else imports TensorFlow or Keras. A process that has computed with
    TensorFlow before keeps the threads it has.
    """
    if "tensorflow" in sys.modules and threads is None:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_closed():
        import tensorflow as tf

        if threads is not None:
            try:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
            except RuntimeError:
                return tf
        tf.zeros(())  # starts the runtime, which says its piece once more
    return tf


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Lead file descriptor 2 to nowhere; exceptions come out all the same."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
