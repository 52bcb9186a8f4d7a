"""One agent shared by threads: the ticker, and whoever speaks on the socket.

Everything takes turns, but a turn is given up while something is on a line: an order is answered at once
also when the headend is not. On each line there is one errand at a time, and they know nothing of each other.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from box_agent.app import ANONYMOUS_LINE, NAMED_LINE, Agent
from box_agent.events import Event
from box_agent.front import Front
from box_agent.lines import AnonymousLine, Answer, NamedLine

_T = TypeVar("_T")


class GivesWayNamed:
    """The named line, giving up the turn while it waits."""

    def __init__(self, line: NamedLine, turn: threading.Lock) -> None:
        self._line, self._turn = line, turn

    def post(self, path: str, body: bytes) -> Answer:
        """See `NamedLine`."""
        with _given_up(self._turn):
            return self._line.post(path, body)

    def get(self, path: str, etag: str | None = None) -> Answer:
        """See `NamedLine`."""
        with _given_up(self._turn):
            return self._line.get(path, etag)


class GivesWayAnonymous:
    """The anonymous line, giving up the turn while it waits."""

    def __init__(self, line: AnonymousLine, turn: threading.Lock) -> None:
        self._line, self._turn = line, turn

    def post_sealed(self, body: bytes) -> Answer:
        """See `AnonymousLine`."""
        with _given_up(self._turn):
            return self._line.post_sealed(body)

    def get_directory(self, week: str) -> Answer:
        """See `AnonymousLine`."""
        with _given_up(self._turn):
            return self._line.get_directory(week)


class Service:
    """The agent behind its turns, which it shares with the front; `refused` counts refusals by name.

    `stirred` is called after what may have given the agent something to do at once.
    `sources` tells how the sources of events go, where there are any.
    """

    def __init__(
        self,
        make: Callable[[tuple[NamedLine, AnonymousLine]], Agent],
        lines: tuple[NamedLine, AnonymousLine],
        front: Front,
        *,
        steered: bool,
        stirred: Callable[[], None] = lambda: None,
    ) -> None:
        self._turn = front.turn
        self._stirred = stirred
        # An errand on one line waits for none on the other, so that neither end can hold the other line shut.
        self._named_errand, self._anonymous_errand = threading.Lock(), threading.Lock()
        with self._turn:  # players are being answered already
            self._agent = make((GivesWayNamed(lines[0], self._turn), GivesWayAnonymous(lines[1], self._turn)))
        self.refused = front.refused
        self.sources: Callable[[], Mapping[str, object]] = dict
        self.steered = steered

    def do(self, act: Callable[[Agent], _T]) -> _T:
        """Take a turn with the agent, for what stays on the box."""
        done = self.look(act)
        self._stirred()
        return done

    def look(self, act: Callable[[Agent], _T]) -> _T:
        """Take a turn for what gives the agent nothing to do at once: a question, or an event."""
        with self._turn:
            return act(self._agent)

    def report(self, event: Event) -> bool:
        """Take an event of a source."""
        return self.look(lambda agent: agent.report(event))

    def errand(self, act: Callable[[Agent], _T]) -> _T:
        """Likewise for what nothing may be under way on a line for."""
        with self._named_errand, self._anonymous_errand, self._turn:
            done = act(self._agent)
        self._stirred()
        return done

    def tick(self, *paths: str) -> None:
        """Let the agent do what is due on one of its lines, on both if none is said; see `Agent.tick`."""
        for line in (paths,) if paths else (NAMED_LINE, ANONYMOUS_LINE):
            errand = self._anonymous_errand if line == ANONYMOUS_LINE else self._named_errand
            with errand, self._turn:
                self._agent.tick(*line)

    def next_due(self) -> datetime | None:
        """When the agent has something to do next; see `Agent.next_due`."""
        return self.look(Agent.next_due)

    def close(self) -> None:
        """Make everything durable and close the file."""
        self.errand(Agent.close)


@contextmanager
def _given_up(turn: threading.Lock) -> Iterator[None]:
    turn.release()
    try:
        yield
    finally:
        turn.acquire()
