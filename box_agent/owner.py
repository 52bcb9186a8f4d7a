"""What this box knows of its household, for whoever has shown that it is theirs: see `Agent.owner`.

What was viewed, what waits and what was sent tell a household what its members watch. So they open to the
box's PIN only; whoever holds an `Owner` has shown it.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from box_agent.core import Core
from box_agent.dues import asked_state
from box_agent.kept import KeptOrders
from box_agent.phrases import phrases_of
from box_agent.recorded import Ordered, Recorded, ordered, recorded
from box_agent.sentlog import Sent, SentLog
from box_agent.settings import BoxSettings
from box_agent.store import Door
from box_agent.waiting import Tokens, Waiting, tokens, waiting
from shared.clock import to_ms
from shared.weeks import Week

if TYPE_CHECKING:
    from box_agent.sessions import ViewingSession

ARCHIVE_VERSION = 1


class Owner:
    """Reads all of it; changes nothing. Every answer is in the settings' language if none is said."""

    def __init__(self, core: Core, named: Door, log: SentLog, settings: BoxSettings) -> None:
        self._core = core
        self._named = named
        self._log = log
        self._settings = settings

    def recorded(self, language: str | None = None) -> dict[str, list[Recorded] | list[Ordered]]:
        """What was viewed and ordered since the last week was told, in words: `viewed` and `ordered`."""
        told, zone = language or self._settings.language, self._settings.timezone()
        rows = self._core.door.rows("SELECT at_ms, genre FROM ordered ORDER BY id")
        return {
            "viewed": recorded(self._sessions(), zone, told),
            "ordered": ordered([(at, genre) for at, genre in rows], zone, told),
        }

    def waiting(self, language: str | None = None) -> dict[str, list[Waiting] | list[Tokens]]:
        """What waits to be sent, in words, and the tokens: `fragments` and `tokens`."""
        door = self._core.door
        week = Week.of(self._core.clock.now(), self._settings.timezone())
        return {
            "fragments": waiting(door, language or self._settings.language),
            "tokens": tokens(door, str(week), lambda name: asked_state(self._named, Week.parse(name))),
        }

    def sent(self, language: str | None = None) -> list[Sent]:
        """What has left on the anonymous line, in words."""
        return self._log.entries(language or self._settings.language)

    def archive(self, language: str | None = None) -> dict[str, Any]:
        """Everything that this box knows of its household, in one document that explains itself."""
        told = language or self._settings.language
        box = self._named.row("SELECT box, epoch FROM identity WHERE box IS NOT NULL")
        return {
            "archive": "box-agent",
            "version": ARCHIVE_VERSION,
            "made": self._core.clock.now().isoformat(),
            "explanation": phrases_of(told).archive,
            "box": {
                "box": box[0] if box else None,
                "epoch": box[1] if box else None,
                "serial": self._settings.serial,
                "zone": self._settings.zone,
                "postal_area": self._settings.postal_area,
                "language": self._settings.language,
            },
            "consent": self._core.consent.answer._asdict() | {"proof": self._core.consent.proof()},
            "orders": [asdict(order) for order in KeptOrders(self._named).all()],
            "recorded": self.recorded(told),
            "waiting": self.waiting(told),
            "sent": self.sent(told),
        }

    def _sessions(self) -> "list[ViewingSession]":
        from box_agent.guide.store import GuideStore
        from box_agent.programmes import split
        from box_agent.sessions import settle

        now = to_ms(self._core.clock.now())
        found = settle([run.events for run in self._core.recorder.runs()], now, now)[0]
        return split(found, GuideStore.of(self._settings).programmes)
