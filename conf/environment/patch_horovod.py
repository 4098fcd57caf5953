"""Change Horovod's sources before they are built: `patch_horovod.py FOLDER`.

A change names the text it is about and how often that stands in the file; where it stands there
otherwise, nothing is built, for another Horovod asks for another look.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

PAIR = "third_party/gloo/gloo/transport/tcp/pair.cc"


@dataclass(frozen=True)
class Change:
    """What a regular expression finds in a file, so many times, becomes something else."""

    file: str
    found: str
    becomes: str
    times: int = 1


# It asks for XLA headers that TensorFlow's wheel doesn't hold; nothing of ours uses it.
WITHOUT_XLA = (Change("horovod/tensorflow/CMakeLists.txt", r".*xla_mpi_ops\.cc.*\n", ""),)

# Horovod's thread looks once a cycle (1 ms) whether there is something to sum. A step waits for
# the next look, and a look in vain costs a round of messages on the rank's core. Here a tensor
# wakes the thread; without one it looks as often as the ranks need to hear of a shutdown. Ranks go
# through cycles together: one that waits for a tensor holds the others up, but asleep.
WOKEN_BY_TENSORS = (
    Change(
        "horovod/common/tensor_queue.h",
        r"#include <queue>\n",
        "#include <queue>\n#include <chrono>\n#include <condition_variable>\n",
    ),
    Change(
        "horovod/common/tensor_queue.h",
        r"  void RemoveJoinTensor\(\);\n",
        r"\g<0>\n  void AwaitMessage(std::chrono::steady_clock::time_point until);\n",
    ),
    Change(
        "horovod/common/tensor_queue.h",
        r"  mutable std::mutex mutex_;\n",
        r"\g<0>\n  std::condition_variable has_message_;\n",
    ),
    Change(
        "horovod/common/tensor_queue.cc",
        r" message_queue_\.push\(.*\);\n",
        r"\g<0>  has_message_.notify_one();\n",
        times=4,
    ),
    Change(
        "horovod/common/tensor_queue.cc",
        r"void TensorQueue::RemoveJoinTensor\(\)",
        "void TensorQueue::AwaitMessage(std::chrono::steady_clock::time_point until) {\n"
        "  std::unique_lock<std::mutex> lock(mutex_);\n"
        "  has_message_.wait_until(lock, until, [this] { return !message_queue_.empty(); });\n"
        "}\n\n"
        r"\g<0>",
    ),
    Change(
        "horovod/common/operations.cc",
        r"  if \(sleep_duration > .*\{\n.*sleep_for\(sleep_duration\);\n  \}\n",
        "  state.process_set_table.Get(0).tensor_queue.AwaitMessage(\n"
        "      start_time + sleep_duration + std::chrono::milliseconds(20));\n",
    ),
)

# Gloo's thread leaves a connection alone while another thread holds its lock, and is told of it
# again at once, and again: on one core it kept the holder from running for a whole time slice.
YIELDING = (
    Change(
        PAIR,
        r"lock\(m_, std::try_to_lock\);\n  if \(!lock\) \{\n",
        r"\g<0>    std::this_thread::yield();\n",
    ),
    Change(PAIR, r"#include <sstream>\n", r"\g<0>#include <thread>\n"),
)


def apply(change: Change, folder: Path) -> None:
    """Make one change, or end with what was found."""
    path = folder / change.file
    text, times = re.subn(change.found, change.becomes, path.read_text(encoding="utf-8"))
    if times != change.times:
        raise SystemExit(
            f"{path}: '{change.found}' stands there {times} times; expected {change.times}. "
            "The changes in conf/environment/patch_horovod.py are for another Horovod."
        )
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for one in (*WITHOUT_XLA, *WOKEN_BY_TENSORS, *YIELDING):
        apply(one, Path(sys.argv[1]))
