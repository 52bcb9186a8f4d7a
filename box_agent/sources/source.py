"""What a source of events is; a new one is a file beside this one and a line in `running.py`."""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from box_agent.events import Event

Report = Callable[[Event], None]


class Source(Protocol):
    """One player, watched from a thread of its own."""

    def run(self, report: Report, stop: threading.Event) -> None:
        """Report what the player does until `stop` is set.

        It connects again by itself and raises nothing for what a player does or says.
        """
        ...

    def counts(self) -> Mapping[str, int]:
        """How it went: `unreadable` messages, `ignored` ones, `reconnects`; for `status`."""
        ...
