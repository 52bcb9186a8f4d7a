"""The household's answer: off until it is given, off at once when it is withdrawn.

Consent is given to one version of the notice, and has to be reminded of each year. An agent that carries
another version, or whose household was not reminded for thirteen months, takes the consent as lapsed: it
destroys what was recorded and is silent until it is asked again. Every act is kept as proof.

The answer stands twice: in the store, and in a witness beside it. Where they differ, the store was put back
from an older copy or a write was cut short, and the refusal of the two counts.

A yes may be given before the box knows what time it is. When the clock is set in the same start of the box,
the yes moves with it, and never to an earlier instant than it was given at.
"""

from __future__ import annotations

import json
import os

from box_agent.chance import DAY_MS
from box_agent.lean import NamedTuple
from box_agent.store import Door, StoreError, sync_folder
from shared.clock import to_ms
from shared.errors import StbError
from shared.notice_version import notice_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime


# What a withdrawal destroys: running viewing, everything queued, every token and all that could make one.
_DROPPED = (
    "DELETE FROM viewing",
    "DELETE FROM ordered",
    "DELETE FROM outbox",
    "DELETE FROM wallet",
    "DELETE FROM directories",
)
MAX_HOW = 64
REMINDED_EVERY_MS = 365 * DAY_MS
LAPSES_AFTER_MS = 400 * DAY_MS
GRANTED, WITHDRAWN, REMINDED, LAPSED, MOVED = "granted", "withdrawn", "reminded", "lapsed", "moved"
"""What can happen to a consent; each is a line of its proof."""
JUMP_MS = 60_000
"""The wall clock has jumped when it moved this much more or less than the monotonic one."""


class WrongNoticeError(StbError):
    """The consent refers to another notice than the one that this agent carries."""


class BadConsentError(StbError):
    """The answer does not say how it was given, or in a language that the notice does not have."""


class NoConsentError(StbError):
    """There is no consent in force that somebody could be reminded of."""


class Answer(NamedTuple):
    """The answer in force: since when (Unix milliseconds), to which notice, and when last reminded of."""

    granted: bool
    notice: int
    since_ms: int
    reminded_ms: int = 0

    @property
    def reminder_due_ms(self) -> int:
        """When the household has to be shown the notice again; 0 without consent."""
        return self.reminded_ms + REMINDED_EVERY_MS if self.granted else 0


class Shown(NamedTuple):
    """How an answer was given: by what (such as "remote control"), and the language of the notice shown."""

    how: str
    language: str = "en"

    def check(self) -> None:
        """See that this can be a proof.

        Raises:
            BadConsentError: `how` has not 1 to 64 characters, or the notice has no such language.
        """
        from shared.words import LANGUAGES

        if not 1 <= len(self.how) <= MAX_HOW:
            raise BadConsentError(f"how the answer was given has 1 to {MAX_HOW} characters")
        if self.language not in LANGUAGES:
            raise BadConsentError(f"the notice is in {', '.join(LANGUAGES)}, not in {self.language!r}")

    def digest(self) -> str:
        """The SHA-256 of the text that was shown, in hex."""
        import hashlib

        from shared.notice import notice_text

        return hashlib.sha256(notice_text(self.language).encode()).hexdigest()


_NEVER_ASKED = Answer(granted=False, notice=0, since_ms=0)


class Witness:
    """The answer in a file of its own, written whole or not at all."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def read(self) -> Answer | None:
        """What it says; None if there is none. What cannot be read counts as a refusal."""
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 (see box_agent.store)
                return _answer(json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return _NEVER_ASKED

    def write(self, answer: Answer) -> None:
        """Keep an answer, durably.

        Raises:
            OSError: the disk is full or takes no writing; what stood there stands there still.
        """
        at = os.path.dirname(self._path)  # noqa: PTH120 (see box_agent.store)
        os.makedirs(at, mode=0o700, exist_ok=True)  # noqa: PTH103 (likewise)
        fresh = f"{self._path}.new"
        with open(fresh, "wb", opener=_private) as file:
            file.write(json.dumps(answer._asdict()).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)  # noqa: PTH105 (likewise)
        sync_folder(at)

    def remove(self) -> None:
        """Have it say nothing any more, durably."""
        if os.path.lexists(self._path):
            os.unlink(self._path)  # noqa: PTH108 (see box_agent.store)
            sync_folder(os.path.dirname(self._path))  # noqa: PTH120 (likewise)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _answer(found: object) -> Answer:
    kinds = {"granted": bool, "notice": int, "since_ms": int, "reminded_ms": int}
    if not isinstance(found, dict) or any(type(found[name]) is not kinds.get(name) for name in found):
        raise ValueError("no answer")
    try:
        return Answer(**found)
    except TypeError as error:
        raise ValueError("no answer") from error


class Consent:
    """The answer of this box's household, kept over restarts, updates and restored stores."""

    def __init__(self, door: Door, witness: str | os.PathLike[str], boot: str = "") -> None:
        self._door = door
        self._witness = Witness(witness)
        row = door.row("SELECT granted, notice, since_ms, reminded_ms, boot, booted_ms FROM consent")
        # Kept in memory because it is asked before every event; only this object changes it.
        self._answer = Answer(bool(row[0]), row[1], row[2], row[3]) if row else _NEVER_ASKED
        self._boot = boot
        # When this start of the box was, by the clock as it is, and by the one that the yes was given by;
        # None if that is not known, or the yes was given in another start.
        self._booted_ms: int | None = None
        self._given_booted_ms: int | None = row[5] if row and boot and row[4] == boot else None
        self._owed: tuple[str, Answer, Shown, datetime] | None = None
        self._agree()

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

    def follow(self, now: datetime, monotonic: float) -> None:
        """Look at the clock (monotonic in seconds): where it was set since the yes, the yes moves with it.

        Set forward, the yes was given as much later. Set back, it may have been given earlier, or the clock
        be wrong now: it counts from now on.
        """
        booted_ms = self.look_at_clock(now, monotonic)
        if self._given_booted_ms is None or not self._answer.granted:
            return
        jump = booted_ms - self._given_booted_ms
        if abs(jump) <= JUMP_MS:
            return
        since = self._answer.since_ms
        moved = self._answer._replace(since_ms=since + jump if jump > 0 else min(since, to_ms(now)))
        self._given_booted_ms = booted_ms
        try:
            self._record_twice(MOVED, moved, Shown("the clock was set"), now)
        except StoreError:
            self._answer = moved  # a later start that reads the old answer sees the jump again

    def look_at_clock(self, now: datetime, monotonic: float) -> int:
        """See by which clock a yes would be given now: when the box was started, by it. Nothing moves."""
        self._booted_ms = to_ms(now) - round(monotonic * 1000)
        return self._booted_ms

    def grant(self, notice: int, shown: Shown, at: datetime) -> None:
        """Record a yes. Repeating it changes nothing.

        Raises:
            WrongNoticeError: it was given to another notice than this agent's.
            BadConsentError: see `Shown.check`.
            StoreError: the disk does not take it, so it is none.
        """
        if notice != notice_version():
            raise WrongNoticeError(f"the notice is version {notice_version()}, the consent was to {notice}")
        shown.check()
        if not self.active():
            now = to_ms(at)
            answer = Answer(granted=True, notice=notice, since_ms=now, reminded_ms=now)
            self._given_booted_ms = self._booted_ms
            self._record_twice(GRANTED, answer, shown, at)

    def withdraw(self, shown: Shown, at: datetime) -> None:
        """Record a no, and destroy what was recorded, queued and earned until now, in one transaction.

        Raises:
            BadConsentError: see `Shown.check`.
        """
        shown.check()
        self._refuse(WITHDRAWN, shown, at)

    def remind(self, shown: Shown, at: datetime) -> None:
        """Record that the household was shown the notice again and let its consent stand.

        Raises:
            NoConsentError: none is in force.
            BadConsentError: see `Shown.check`.
            StoreError: the disk does not take it; nothing has changed.
        """
        shown.check()
        if not self.active():
            raise NoConsentError("there is no consent in force")
        self._record_twice(REMINDED, self._answer._replace(reminded_ms=to_ms(at)), shown, at)

    def lapse(self, at: datetime) -> bool:
        """Let a consent lapse that was given to another notice, or not reminded of; whether it did."""
        if self.owes:
            self.settle()
        overdue = to_ms(at) >= self._answer.reminded_ms + LAPSES_AFTER_MS
        if not self._answer.granted or (self.active() and not overdue):
            return False
        self._refuse(LAPSED, Shown("not reminded" if self.active() else "another notice"), at)
        return True

    def _agree(self) -> None:
        """See that store and witness say the same; else the refusal counts, or the later beginning."""
        told = self._witness.read()
        if told is None or told == self._answer:
            return
        if not (told.granted and self._answer.granted):
            self._drop()
            self._answer = (told if self._answer.granted else self._answer)._replace(granted=False)
        elif told.since_ms != self._answer.since_ms:  # between two yeses lies a no, so nothing stays
            self._drop()
            self._answer = max(told, self._answer, key=lambda one: one.since_ms)
        self._keep()

    def _refuse(self, act: str, shown: Shown, at: datetime) -> None:
        if self._answer.granted:
            # In memory first: the box is silent from now on, whatever the disk says.
            self._answer = self._answer._replace(granted=False, since_ms=to_ms(at), reminded_ms=0)
            self._owed = (act, self._answer, shown, at)
        self.settle()

    def settle(self) -> None:
        """Make a refusal durable that the disk has not taken yet, and destroy what it refuses.

        Raises:
            StoreError: the disk does not take it now either.
        """
        try:
            if self._owed is not None:
                self._witness.write(self._owed[1])  # first, so that a no that was cut short is one
        except OSError as error:
            raise StoreError(f"the refusal is in force, but not durable: {error.strerror}") from error
        with self._door.transaction():
            self._drop()
            if self._owed is not None:
                act, answer, shown, at = self._owed
                self._record(act, answer, shown, at)
        self._owed = None

    @property
    def owes(self) -> bool:
        """Whether a refusal is in force that is not durable yet."""
        return self._owed is not None

    def proof(self) -> list[dict[str, object]]:
        """Every act of the household and of time, the oldest first, with what was shown; see docs/box.md."""
        names = ("at_ms", "act", "notice", "how", "language", "notice_sha256")
        rows = self._door.rows(
            "SELECT at_ms, act, notice, how, language, notice_sha256 FROM consent_log ORDER BY id"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def forget(self) -> None:
        """Forget that anybody was ever asked; for who has withdrawn, and deleted what the store says."""
        self._witness.remove()
        self._answer = _NEVER_ASKED

    def _drop(self) -> None:
        with self._door.transaction():
            for statement in _DROPPED:
                self._door.write(statement)

    def _record_twice(self, act: str, answer: Answer, shown: Shown, at: datetime) -> None:
        """In the store and by the witness, or in neither; cut short, the refusal of the two counts."""
        before = self._answer
        try:
            with self._door.transaction():
                self._record(act, answer, shown, at)
                self._witness.write(answer)
        except OSError as error:
            self._answer = before
            raise StoreError(f"it could not be made durable: {error.strerror}") from error
        except StoreError:
            self._answer = before
            raise

    def _record(self, act: str, answer: Answer, shown: Shown, at: datetime) -> None:
        row = (act, answer.notice, to_ms(at), shown.how, shown.language, shown.digest())
        with self._door.transaction():
            self._door.write(
                "INSERT INTO consent_log (act, notice, at_ms, how, language, notice_sha256)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            self._answer = answer
            self._keep()

    def _keep(self) -> None:
        one = self._answer
        self._door.write(
            "INSERT INTO consent (id, granted, notice, since_ms, reminded_ms, boot, booted_ms)"
            " VALUES (1, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET granted = excluded.granted, notice = excluded.notice,"
            " since_ms = excluded.since_ms, reminded_ms = excluded.reminded_ms, boot = excluded.boot,"
            " booted_ms = excluded.booted_ms",
            (one.granted, one.notice, one.since_ms, one.reminded_ms, self._boot, self._given_booted_ms),
        )
