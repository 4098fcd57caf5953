"""Signs of progress, counted inside compiled loops and outside of them."""

from __future__ import annotations


class Signs:
    """Counts what a rank gets done: steps inside compiled loops, and whatever else it notes."""

    def __init__(self) -> None:
        import tensorflow as tf

        with tf.device("CPU:0"):
            self._steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="signs")
        self._others = 0

    def note(self) -> None:
        """Note a sign from Python."""
        self._others += 1

    def note_in_graph(self) -> None:
        """Note a sign each time the compiled function comes by here."""
        self._steps.assign_add(1, read_value=False)

    @property
    def count(self) -> int:
        """Signs so far; any thread may ask, also while a compiled loop runs."""
        return int(self._steps.numpy()) + self._others
