"""Asks for the week's blind tokens on the named line, once, at a random moment within the week.

The issuer learns that this box takes part, and signs without seeing what. The requests are stored before
they are sent, and sent again unchanged, so that a crash costs no token and gains none.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from box_agent.alarms import Alarms
from box_agent.chance import HOUR_MS, RandomBytes, below, full_jitter, moment
from box_agent.dues import ASKED, PLANNED, asked_state
from box_agent.identity import Identity, NotEnrolledError
from box_agent.lines import LineDownError, NamedLine, RefusedError
from box_agent.published import OpenDirectory, Pinned, open_directory
from box_agent.store import Door
from box_agent.wallet import Pending, Wallet
from shared.clock import to_ms
from shared.directory import BadDirectoryError, challenge
from shared.named import BoxId, MeasureRequest, TokenAsk, TokenGrant, UnreadableMessageError, read
from shared.tokens import NONCE_BYTES, PendingToken, TokenError, blind, finalize, prepare
from shared.weeks import Week

LATE_MS = HOUR_MS
BEFORE_END_MS = 36 * HOUR_MS
"""Asked so long before the week's end: the relay's directory comes up to a day after the named line's, and a
box that waited for it would begin to send later than others."""
BACKOFF_BASE_MS = HOUR_MS // 2
BACKOFF_MOST_MS = 6 * HOUR_MS
GRANTED, REFUSED, MISSED = "granted", "refused", "missed"


@dataclass(frozen=True)
class _Ask:
    week: Week
    due_ms: int
    tries: int
    state: str


class Refill:
    """The plan of asking, week by week. `covers` is asked whether consent holds from a week's start on."""

    def __init__(
        self,
        door: Door,
        parts: tuple[Identity, Wallet, NamedLine],
        pinned: Pinned,
        random_bytes: RandomBytes,
        covers: Callable[[int], bool],
    ) -> None:
        self._door = door
        self._identity, self._wallet, self._line = parts
        self._pinned = pinned
        self._zone = ZoneInfo(pinned.zone)
        self._random_bytes = random_bytes
        self._random_below = below(random_bytes)
        self._covers = covers
        self._alarms = Alarms(door, "named")

    def run(self, now: datetime) -> None:
        """Plan this week's asking, and ask if its moment has come."""
        self._plan(Week.of(now, self._zone), now)
        rows = self._door.rows(
            "SELECT week, due_ms, tries, state FROM asks WHERE state IN (?, ?) AND due_ms <= ?",
            (PLANNED, ASKED, to_ms(now)),
        )
        for week, due_ms, tries, state in rows:
            self._step(_Ask(Week.parse(week), due_ms, tries, state), now)

    def _plan(self, week: Week, now: datetime) -> None:
        if not self._covers(to_ms(week.start(self._zone))) or asked_state(self._door, week) is not None:
            return
        self._write(_Ask(week, self._moment(week, now), 0, PLANNED))
        self._door.write("DELETE FROM asks WHERE week < ?", (str(week.plus(-4)),))

    def _moment(self, week: Week, now: datetime) -> int:
        """Early enough for the directories to be compared within the week; whoever is late asks late."""
        end_ms = to_ms(week.end(self._zone))
        usual = end_ms - BEFORE_END_MS
        return moment(to_ms(now), usual if to_ms(now) < usual else end_ms, self._random_below)

    def _step(self, ask: _Ask, now: datetime) -> None:
        # Also for what has been sent: whoever held back one box's answer would hear it speak alone.
        limit = ask.week.end(self._zone)
        covered = self._covers(to_ms(ask.week.start(self._zone)))
        if now >= limit or not covered:
            self._end(ask, MISSED)
        elif ask.state == PLANNED and to_ms(now) - ask.due_ms > LATE_MS:
            self._write(_Ask(ask.week, self._moment(ask.week, now), ask.tries, PLANNED))
        else:
            self._attempt(ask, now)

    def _attempt(self, ask: _Ask, now: datetime) -> None:
        try:
            self._ask(ask, now)
        except (NotEnrolledError, LineDownError):
            self._again(ask, now)
        except RefusedError:
            self._end(ask, REFUSED)  # such as: another box of this account reports this week
        except (BadDirectoryError, TokenError, UnreadableMessageError) as error:
            self._alarms.sound(f"tokens-{type(error).__name__}", now)
            self._end(ask, REFUSED)

    def _ask(self, ask: _Ask, now: datetime) -> None:
        week = str(ask.week)
        box = BoxId(self._identity.enrolment().box)
        pending = self._wallet.pending(week) or self._prepare(ask, now)
        if not pending:
            return
        raw = self._wallet.directory(week)
        if raw is None:
            raise BadDirectoryError("the directory is gone")
        found = open_directory(raw, self._pinned, ask.week)
        requests = [MeasureRequest(one.measure, _to_text(_read_pending(one).request)) for one in pending]
        message = TokenAsk(box=box, week=week, requests=requests)
        answer = self._line.post("tokens", self._identity.sign(message))
        tokens = _finish(found, pending, read(answer.body, TokenGrant).responses)
        with self._door.transaction():
            self._wallet.finish(week, pending, tokens)
            self._write(_Ask(ask.week, ask.due_ms, ask.tries, GRANTED))

    def _prepare(self, ask: _Ask, now: datetime) -> list[Pending]:
        week = str(ask.week)
        raw = self._fetch(week)
        found = open_directory(raw, self._pinned, ask.week)
        if not self._covers(to_ms(ask.week.start(self._zone))):
            return []  # withdrawn while the directory was on its way
        fresh = [
            Pending(measure.name, number, self._blind(found, measure.name, ask.week))
            for measure in found.profile.measures
            for number in range(measure.quota)
        ]
        with self._door.transaction():
            self._wallet.keep_pending(week, raw, fresh)
            self._write(_Ask(ask.week, to_ms(now), ask.tries, ASKED))
        return self._wallet.pending(week)

    def _fetch(self, week: str) -> bytes:
        try:
            return self._line.get(f"directory/{week}").body
        except RefusedError as refusal:
            raise LineDownError("not published yet") from refusal

    def _blind(self, found: OpenDirectory, measure: str, week: Week) -> bytes:
        spki = found.directory.token_key(measure)
        digest = challenge(self._pinned.issuer, measure, week).digest()
        token_input = prepare(digest, spki, self._random_bytes(NONCE_BYTES))
        return blind(token_input, spki, self._random_bytes).to_bytes()

    def _again(self, ask: _Ask, now: datetime) -> None:
        wait = full_jitter(ask.tries, BACKOFF_BASE_MS, BACKOFF_MOST_MS, self._random_below)
        state = asked_state(self._door, ask.week) or ask.state
        self._write(_Ask(ask.week, to_ms(now) + wait, ask.tries + 1, state))

    def _end(self, ask: _Ask, state: str) -> None:
        with self._door.transaction():
            self._wallet.drop(str(ask.week))
            self._write(_Ask(ask.week, ask.due_ms, ask.tries, state))

    def _write(self, ask: _Ask) -> None:
        self._door.write(
            "INSERT OR REPLACE INTO asks (week, due_ms, tries, state) VALUES (?, ?, ?, ?)",
            (str(ask.week), ask.due_ms, ask.tries, ask.state),
        )


def _finish(found: OpenDirectory, pending: list[Pending], responses: list[str]) -> list[bytes]:
    if len(responses) != len(pending):
        raise UnreadableMessageError(f"{len(responses)} answers to {len(pending)} requests")
    return [
        finalize(_read_pending(one), found.directory.token_key(one.measure), _from_text(text)).encode()
        for one, text in zip(pending, responses, strict=True)
    ]


def _read_pending(one: Pending) -> PendingToken:
    return PendingToken.from_bytes(one.stored)


def _to_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _from_text(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableMessageError("a token response is no base64") from error
