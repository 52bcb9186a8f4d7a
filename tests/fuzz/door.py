"""What the fuzzer knows of the agent, in one place: how it is opened, asked, listens and is looked into."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from box_agent.app import Agent
from box_agent.core import STORE_NAME, Core
from box_agent.events import Event
from box_agent.front import MAX_LINE, Front, error_name
from box_agent.lines import AnonymousLine, NamedLine
from box_agent.listener import MOST_CONNECTIONS, Listener
from box_agent.local_socket import perform
from box_agent.service import Service
from box_agent.sessions import ViewingSession, settle
from box_agent.settings import BoxSettings
from shared.clock import Clock, to_ms

__all__ = ["MAX_LINE", "MOST_CONNECTIONS", "STORE_NAME", "Door", "error_name"]


class Door:
    """One agent behind its door, on a state directory that may hold something already."""

    def __init__(
        self, settings: BoxSettings, lines: tuple[NamedLine, AnonymousLine], clock: Clock, chance: object
    ) -> None:
        self._clock = clock
        core = Core(settings.state_dir, settings.consent_witness(), clock)
        self._front = Front(core)
        self.service = Service(
            lambda given: Agent(settings, given, clock, chance, core),  # type: ignore[arg-type]  # a seeded one
            lines,
            self._front,
            steered=True,
        )
        self._front.open(lambda line: perform(self.service, line))

    def answer(self, line: bytes) -> bytes:
        """Answer one line, as on the socket."""
        return self._front.answer(line)

    def report(self, event: Event) -> bool:
        """Take an event from a source in the agent's own process."""
        return self.service.report(event)

    def consent(self) -> tuple[bool, int]:
        """Whether viewing may be recorded, and since when."""
        found = self.service.do(Agent.consent)
        return found.granted, found.since_ms

    def believed(self) -> list[ViewingSession]:
        """What the agent takes to have been viewed until now."""
        runs = self.service.do(lambda agent: agent._recorder.runs())
        now_ms = to_ms(self._clock.now())
        return settle([run.events for run in runs], now_ms, now_ms)[0]

    def close(self) -> None:
        """Stop it, as when the box is switched off in order."""
        self.service.close()

    @contextmanager
    def listening(self, path: Path) -> Iterator[None]:
        """Its real socket."""
        front = self._front
        listener = Listener(str(path), front.answer, front.answered, front.turn_away)
        try:
            yield
        finally:
            listener.close()
