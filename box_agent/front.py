"""What answers the box's other software: events at once, everything else when it has been loaded.

An agent that has just been started listens before the rest of it is there. Players' events need the core
only; any other request waits for the rest.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter

from box_agent.events import BadEventError, read_event, read_json
from shared.errors import StbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from box_agent.core import Core

MAX_LINE = 16 * 1024
LOADED_WITHIN_S = 60.0


class BadRequestError(StbError):
    """A request of another form than docs/box.md says."""


class TooManyConnectionsError(StbError):
    """So many are open that this one is closed again."""


class StillStartingError(StbError):
    """The agent has only just been started, and the rest of it did not come in time; ask again."""


class Front:
    """Answers one line with one line; a refusal has a name, is counted, and has changed nothing.

    `turn` is held by whoever uses the core, or what is built around it.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.turn = threading.Lock()
        self.refused: Counter[str] = Counter()
        self._loaded = threading.Event()
        self._rest: Callable[[bytes], object] | None = None
        self._spoken_to = threading.Event()
        self._spoke_at = core.clock.monotonic()

    def open(self, rest: Callable[[bytes], object]) -> None:
        """From now on `rest` answers what is no event; it gives a result, or raises a StbError."""
        self._rest = rest
        self._loaded.set()

    def turn_away(self) -> bytes:
        """What a connection is told that is one too many."""
        return self._refusal(TooManyConnectionsError("close one first"))

    def answered(self) -> None:
        """An answer has been sent."""
        self._spoken_to.set()
        self._spoke_at = self._core.clock.monotonic()

    def idle_s(self) -> float:
        """Seconds since somebody was answered."""
        return self._core.clock.monotonic() - self._spoke_at

    def wait_to_be_spoken_to(self, seconds: float) -> None:
        """Give way to whoever speaks first: loading the rest would share the processor with it."""
        self._spoken_to.wait(seconds)

    def answer(self, line: bytes) -> bytes:
        """Answer one request."""
        try:
            result = self._perform(line)
        except StbError as error:
            return self._refusal(error)
        return result if isinstance(result, bytes) else _encode({"ok": True, "result": result})

    def _refusal(self, error: StbError) -> bytes:
        name = error_name(error)
        self.refused[name] += 1
        return _encode({"ok": False, "error": name, "detail": str(error)})

    def _perform(self, line: bytes) -> object:
        if len(line) > MAX_LINE:
            raise BadRequestError(f"a request has at most {MAX_LINE} bytes")
        try:
            asked = read_json(line)
        except BadEventError as error:
            raise BadRequestError(str(error)) from error
        if isinstance(asked, dict) and asked.get("op") == "event":
            return {"kept": self._report(asked)}
        self._spoken_to.set()
        if not self._loaded.wait(LOADED_WITHIN_S) or self._rest is None:
            raise StillStartingError("the agent is still starting")
        return self._rest(line)

    def _report(self, asked: dict[str, object]) -> bool:
        if set(asked) != {"op", "event"}:
            raise BadRequestError("an event is told with `op` and `event`, and nothing else")
        event = read_event(asked["event"])
        with self.turn:
            return self._core.recorder.report(event)


def error_name(error: StbError) -> str:
    """The name under which an error is answered and counted.

    >>> error_name(BadRequestError())
    'bad-request'
    """
    words = re.findall("[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    return "-".join(words).lower()


def _encode(found: dict[str, object]) -> bytes:
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"
