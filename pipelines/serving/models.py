"""The champion in memory, and how another one takes its place while requests are answered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.serving.predictor import Predictor

if TYPE_CHECKING:
    from pipelines.registry.champion import RegisteredModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A version of a model that answers."""

    name: str
    version: int
    run_id: str
    predictor: Predictor


class Champion:
    """Holds the champion; looks now and then whether it is another version.

    A new version is loaded and has predicted once before it takes over; one that can't be loaded
    is told in the log, and the old one goes on. `find` returns who is champion now, `load` makes
    its predictor.
    """

    def __init__(
        self,
        find: Callable[[], RegisteredModel],
        load: Callable[[RegisteredModel], Predictor],
        every: float = 10.0,
    ) -> None:
        """Load the champion; raise NoChampion where there is none."""
        self._find, self._load, self._every = find, load, every
        self._stopped = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._refused: int | None = None
        self.served = self._warm(find())

    def watch(self) -> None:
        """Start to look, every so many seconds, until `stop`."""
        threading.Thread(target=self._watch, name="champion", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def refresh(self) -> bool:
        """Look now; return whether another version has taken over."""
        with self._one_at_a_time:
            found = self._find()
            if found.version in (self.served.version, self._refused):
                return False
            try:
                self.served = self._warm(found)
            except Exception:
                self._refused = found.version
                logger.exception(
                    "version %d of %s can't be loaded; version %d goes on answering",
                    *(found.version, found.name, self.served.version),
                )
                return False
            self._refused = None
            return True

    def _watch(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.refresh()
            except Exception:
                # The registry may be away for a while; the model in memory needs it not.
                logger.exception("the registry can't be asked for the champion")

    def _warm(self, model: RegisteredModel) -> Served:
        begin = time.monotonic()
        predictor = self._load(model)
        predictor.warm_up()
        logger.info(
            "serving %s version %d, ready after %.1f s",
            *(model.name, model.version, time.monotonic() - begin),
        )
        return Served(model.name, model.version, model.run_id, predictor)
