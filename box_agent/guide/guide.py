"""Loads the guide's file when it has changed, in a thread of its own."""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from box_agent.guide.categories import Categories
from box_agent.guide.store import ChannelName, GuideStore, GuideStoreError, Row, Signature
from box_agent.guide.unpacked import BadGuideError, unpacked
from box_agent.guide.xmltv import Named, read_xmltv
from shared.clock import Clock, to_ms

LOOK_SECONDS = 60.0
WINDOW_MS = 15 * 24 * 3_600_000
"""How far back and ahead of now the guide is kept: viewing is kept as long."""
_LOG = logging.getLogger(__name__)


class _StoppedError(Exception):
    """The agent stops in the middle of a file."""


class Guide:
    """The guide of one file, loaded into a store."""

    def __init__(self, path: Path, store: GuideStore, categories: Categories, clock: Clock) -> None:
        self._path = path
        self._store = store
        self._categories = categories
        self._clock = clock
        self._refused: Signature | None = None
        self._skipped: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self.programmes = store.programmes

    def run(self, stop: threading.Event) -> None:
        """Load the file now and whenever it has changed, until told to stop."""
        while True:
            self.look(stop)
            if stop.wait(LOOK_SECONDS):
                return

    def look(self, stop: threading.Event) -> bool:
        """Load the file if it is not the one that is loaded; answers whether it was loaded.

        A file that is refused is counted and not read again until it has changed; the guide stays as it was.
        """
        try:
            state = self._path.stat()
            found = Signature(state.st_size, state.st_mtime_ns)
            if found in {self._refused, self._store.signature()}:
                return False
            return self._taken(found, stop)
        except OSError as error:
            self._fail("unreadable", error.strerror or type(error).__name__)
        except GuideStoreError as error:
            self._fail("store", str(error))
        return False

    def counts(self) -> dict[str, object]:
        """How loading went: files loaded and refused, what was skipped, and the texts that no list knows."""
        unmapped = dict(
            Counter(dict(self._categories.unmapped)).most_common(20)
        )  # a copy: they grow meanwhile
        return {**self._counts, "skipped": dict(self._skipped), "unmapped": unmapped}

    def _taken(self, signature: Signature, stop: threading.Event) -> bool:
        try:
            self._load(signature, stop)
        except _StoppedError:
            return False
        except BadGuideError as error:
            self._refused = signature
            self._fail("refused", str(error))
            return False
        return True

    def _load(self, signature: Signature, stop: threading.Event) -> None:
        self._skipped = Counter()
        now_ms = to_ms(self._clock.now())
        window = range(now_ms - WINDOW_MS, now_ms + WINDOW_MS)
        taken = self._store.load(self._read(window, stop), signature, window)
        self._counts["loaded"] += 1
        self._counts["programmes"] = taken
        _LOG.info("guide loaded: %d programmes", taken)

    def _read(self, window: range, stop: threading.Event) -> Iterator[Row | ChannelName]:
        with self._path.open("rb") as file:
            for one in read_xmltv(self._until(stop, unpacked(file)), self._skipped):
                if isinstance(one, Named):
                    yield ChannelName(one.channel, one.name)
                elif one.start_ms >= window.stop or (one.end_ms or one.start_ms) <= window.start:
                    self._skipped["outside-window"] += 1
                else:
                    yield Row(one.channel, one.start_ms, one.end_ms, self._categories.code(one.categories))

    @staticmethod
    def _until(stop: threading.Event, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if stop.is_set():
                raise _StoppedError
            yield chunk

    def _fail(self, what: str, why: str) -> None:
        self._counts[what] += 1
        _LOG.warning("guide %s: %s", what, why)
