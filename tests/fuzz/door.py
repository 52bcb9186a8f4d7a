"""What the fuzzer knows of the agent, in one place: how it is opened, asked, listens and is looked into."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from box_agent import local_socket
from box_agent.app import Agent
from box_agent.events import Event
from box_agent.lines import AnonymousLine, NamedLine
from box_agent.local_socket import MAX_LINE, MOST_CONNECTIONS, error_name
from box_agent.service import Service
from box_agent.sessions import ViewingSession, viewing_sessions
from box_agent.settings import BoxSettings
from shared.clock import Clock, to_ms

__all__ = ["MAX_LINE", "MOST_CONNECTIONS", "STORE_NAME", "Door", "error_name"]

STORE_NAME = "box.sqlite"
_POLL_S = 0.05


class Door:
    """One agent behind its door, on a state directory that may hold something already."""

    def __init__(
        self, settings: BoxSettings, lines: tuple[NamedLine, AnonymousLine], clock: Clock, chance: object
    ) -> None:
        self._clock = clock
        self.service = Service(
            lambda given: Agent(settings, given, clock, chance),  # type: ignore[arg-type]  # a seeded one
            lines,
            steered=True,
        )

    def answer(self, line: bytes) -> bytes:
        """Answer one line, as on the socket."""
        return local_socket.answer(self.service, line)

    def report(self, event: Event) -> bool:
        """Take an event from a source in the agent's own process."""
        return self.service.do(lambda agent: agent.report(event))

    def consent(self) -> tuple[bool, int]:
        """Whether viewing may be recorded, and since when."""
        found = self.service.do(Agent.consent)
        return found.granted, found.since_ms

    def believed(self) -> list[ViewingSession]:
        """What the agent takes to have been viewed until now."""
        events = self.service.do(lambda agent: agent._recorder.events())
        return viewing_sessions(events, to_ms(self._clock.now()))

    def close(self) -> None:
        """Stop it, as when the box is switched off in order."""
        self.service.close()

    @contextmanager
    def listening(self, path: Path) -> Iterator[None]:
        """Its real socket."""
        server = local_socket.SocketServer(path, self.service)
        told = {"poll_interval": _POLL_S}
        threading.Thread(target=server.serve_forever, kwargs=told, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
