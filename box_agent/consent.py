"""The household's answer: off until it is given, off at once when it is withdrawn.

Consent is given to one version of the notice. An agent that carries another version is silent until it is
asked again. Every answer is kept as proof.
"""

from dataclasses import dataclass
from datetime import datetime

from box_agent.store import Door
from shared.clock import to_ms
from shared.errors import StbError
from shared.register import notice_version

# What a withdrawal destroys: running viewing, everything queued, every token and all that could make one.
_DROPPED = (
    "DELETE FROM events",
    "DELETE FROM ordered",
    "DELETE FROM outbox",
    "DELETE FROM wallet",
    "DELETE FROM directories",
)
MAX_HOW = 64


class WrongNoticeError(StbError):
    """The consent refers to another notice than the one that this agent carries."""


class BadConsentError(StbError):
    """The answer does not say how it was given."""


@dataclass(frozen=True)
class Answer:
    """The answer in force: since when (Unix milliseconds), and to which notice."""

    granted: bool
    notice: int
    since_ms: int


class Consent:
    """The answer of this box's household, kept over restarts."""

    def __init__(self, door: Door) -> None:
        self._door = door
        row = door.row("SELECT granted, notice, since_ms FROM consent")
        # Kept in memory because it is asked before every event; only this object changes it.
        self._answer = (
            Answer(bool(row[0]), row[1], row[2]) if row else Answer(granted=False, notice=0, since_ms=0)
        )

    @property
    def answer(self) -> Answer:
        """What was answered last; not granted before anything was."""
        return self._answer

    def active(self) -> bool:
        """Whether viewing may be recorded now."""
        return self._answer.granted and self._answer.notice == notice_version()

    def allows(self, at_ms: int) -> bool:
        """Whether what was viewed at this instant may be recorded: never what lies in a refused interval."""
        return self.active() and at_ms >= self._answer.since_ms

    def covers(self, start_ms: int) -> bool:
        """Whether a week that starts then may be told about: consent has to hold from its first instant."""
        return self.allows(start_ms)

    def grant(self, notice: int, how: str, at: datetime) -> None:
        """Record a yes. Repeating it changes nothing.

        Raises:
            WrongNoticeError: it was given to another notice than this agent's.
            BadConsentError: `how` is empty or longer than 64 characters.
        """
        if notice != notice_version():
            raise WrongNoticeError(f"the notice is version {notice_version()}, the consent was to {notice}")
        _check_how(how)
        if not self.active():
            self._record(Answer(granted=True, notice=notice, since_ms=to_ms(at)), how)

    def withdraw(self, how: str, at: datetime) -> None:
        """Record a no, and destroy what was recorded, queued and earned until now, in one transaction.

        Raises:
            BadConsentError: `how` is empty or longer than 64 characters.
        """
        _check_how(how)
        with self._door.transaction():
            for statement in _DROPPED:
                self._door.write(statement)
            if self._answer.granted:
                self._record(Answer(granted=False, notice=self._answer.notice, since_ms=to_ms(at)), how)

    def _record(self, answer: Answer, how: str) -> None:
        row = (answer.granted, answer.notice, answer.since_ms)
        with self._door.transaction():
            self._door.write(
                "INSERT INTO consent_log (granted, notice, at_ms, how) VALUES (?, ?, ?, ?)", (*row, how)
            )
            self._door.write(
                "INSERT INTO consent (id, granted, notice, since_ms) VALUES (1, ?, ?, ?) ON CONFLICT (id) "
                "DO UPDATE SET granted = excluded.granted, notice = excluded.notice,"
                " since_ms = excluded.since_ms",
                row,
            )
        self._answer = answer


def _check_how(how: str) -> None:
    if not 1 <= len(how) <= MAX_HOW:
        raise BadConsentError(f"how the answer was given has 1 to {MAX_HOW} characters")
