"""What leaves on the anonymous line: the week's fragments, each by itself at its own random moment.

A week passes three stations. (1) Some time after the named line brought the directory, it is fetched again
through the relay, and the bytes have to be equal. (2) When the week is over it is rolled up: its fragments
are stored with one token and one moment each, in the transaction that deletes the viewing. (3) Each
fragment is sealed and sent at its moment. What is missed is drawn again, never flushed together; what could
not be far apart any more is never sent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from box_agent.alarms import Alarms
from box_agent.chance import HOUR_MS, RandomBytes, below, moment
from box_agent.consent import Consent
from box_agent.dues import WAITING, is_rolled_up
from box_agent.lines import AnonymousLine, LineDownError, RefusedError
from box_agent.programmes import Programmes, no_guide, split
from box_agent.published import OpenDirectory, Pinned, open_directory
from box_agent.recorder import Recorder
from box_agent.rollup import Viewed, fragments
from box_agent.sealing import UnreadableAnswerError, seal_fragment
from box_agent.sentlog import COUNTED, REFUSED, UNANSWERED, SentLog, in_words
from box_agent.sessions import MINUTE_MS, ViewingSession, clock_minutes, settle
from box_agent.store import Door
from box_agent.viewing import Run
from box_agent.wallet import DIFFERS, EQUAL, Wallet
from shared.anonymous import Fragment
from shared.clock import to_ms
from shared.directory import BadDirectoryError
from shared.errors import StbError
from shared.weeks import Week

SENDING_DAYS = 6
SPREAD_MS, LEAST_SPREAD_MS = 24 * HOUR_MS, 12 * HOUR_MS
"""Where less than the first is left of the six days the seventh serves too; where less than the second is
left of that, a fragment is not sent: beside the others it would tell that they are one box's."""
APART_MS = (2 * HOUR_MS, 24 * HOUR_MS)
"""How long after the named line's the relay's directory is fetched: at least, and less than."""
LATE_MS = HOUR_MS
MISSED_MS = HOUR_MS // 12
"""A moment missed by more is drawn again: what goes at power-on goes beside the first heartbeat."""
CLOCK_MARGIN_MS = HOUR_MS // 6
"""A box's clock may be ahead; what comes before the week is over at the gateway is refused."""
RETRY_MS = (HOUR_MS, 8 * HOUR_MS)
MOST_TRIES = 4
"""Once, and at most three times again."""


@dataclass(frozen=True)
class Place:
    """What the anonymous path knows of the installation: what to trust, where the set stands, the guide."""

    pinned: Pinned
    postal_area: str
    programmes: Programmes = no_guide


@dataclass(frozen=True)
class _Waiting:
    number: int
    week: Week
    fragment: Fragment
    words: str
    token: bytes
    tries: int


class Outbox:
    """The anonymous path from viewing to what has left."""

    def __init__(
        self,
        door: Door,
        parts: tuple[Consent, Recorder, SentLog],
        line: AnonymousLine,
        place: Place,
        random_bytes: RandomBytes,
    ) -> None:
        self._door = door
        self._consent, self._recorder, self._log = parts
        self._line = line
        self._place = place
        self._zone = ZoneInfo(place.pinned.zone)
        self._random_bytes = random_bytes
        self._random_below = below(random_bytes)
        self._wallet = Wallet(door)
        self._alarms = Alarms(door, "anonymous")

    def run(self, now: datetime) -> None:
        """Do what is due. Without consent that is nothing."""
        if not self._consent.active():
            return
        self._drop_closed(now)
        self._compare_directories(now)
        self._roll_up_last_week(now)
        self._send_due(now)

    # Station 1: the two lines have to say the same.

    def _compare_directories(self, now: datetime) -> None:
        rows = self._door.rows("SELECT week, relay_ms, tries FROM directories WHERE verdict = ?", (WAITING,))
        for week, relay_ms, tries in rows:
            if not self._wallet.tokens(week):
                continue  # not granted, or not yet
            if relay_ms is None or to_ms(now) - relay_ms > LATE_MS:
                self._plan_relay(week, to_ms(now) + moment(*APART_MS, self._random_below), tries)
            elif relay_ms <= to_ms(now):
                self._compare(week, now, tries)

    def _compare(self, week: str, now: datetime, tries: int) -> None:
        try:
            relayed = self._line.get_directory(week).body
        except (LineDownError, RefusedError):
            self._plan_relay(week, to_ms(now) + moment(*RETRY_MS, self._random_below), tries + 1)
            return
        named = self._wallet.directory(week)
        if named is None:
            return  # consent was withdrawn meanwhile
        if relayed == named:
            self._judge(week, EQUAL)
            return
        with self._door.transaction():
            self._judge(week, DIFFERS)
            self._wallet.drop_tokens(week)
            self._alarms.sound(f"directory-differs-{week}", now)

    def _judge(self, week: str, verdict: str) -> None:
        self._door.write("UPDATE directories SET verdict = ? WHERE week = ?", (verdict, week))

    def _plan_relay(self, week: str, relay_ms: int, tries: int) -> None:
        self._door.write(
            "UPDATE directories SET relay_ms = ?, tries = ? WHERE week = ?", (relay_ms, tries, week)
        )

    # Station 2: viewing becomes fragments.

    def _roll_up_last_week(self, now: datetime) -> None:
        week = Week.of(now, self._zone).plus(-1)
        if is_rolled_up(self._door, week):
            return
        verdict = self._door.row("SELECT verdict FROM directories WHERE week = ?", (str(week),))
        covered = self._consent.covers(to_ms(week.start(self._zone)))
        if covered and verdict == (WAITING,):
            return  # the tokens or the relay's directory may still come before the week closes
        runs = self._recorder.runs()
        end_ms = to_ms(week.end(self._zone))
        sessions, needed = settle([run.events for run in runs], end_ms, to_ms(now))
        sessions = split(sessions, self._place.programmes)
        told = self._roll_up(week, sessions) if covered and verdict == (EQUAL,) else []
        still = [Run(run.number, events) for run, events in zip(runs, needed, strict=True)]
        self._forget(week, now, (told, still))

    def _roll_up(self, week: Week, sessions: list[ViewingSession]) -> list[_Waiting]:
        found = self._open(week)
        taken = [(measure, found.directory.grid(measure)) for measure in found.profile.measures]
        by_number = {measure.number: (measure, grid) for measure, grid in taken}
        tokens = self._wallet.tokens(str(week))
        viewed = self._viewed(week, sessions, found.directory.region_of(self._place.postal_area))
        return [
            _Waiting(
                0,
                week,
                fragment,
                in_words(*by_number[fragment.measure_number], fragment.cell, fragment.value),
                tokens[by_number[fragment.measure_number][0].name].pop(),
                0,
            )
            for fragment in fragments(taken, week, viewed, self._random_below)
        ]

    def _viewed(self, week: Week, sessions: list[ViewingSession], region: str) -> Viewed:
        start_ms, end_ms = to_ms(week.start(self._zone)), to_ms(week.end(self._zone))
        minutes = [
            minute
            for minute in clock_minutes(sessions, self._zone)
            if start_ms <= minute.number * MINUTE_MS < end_ms
        ]
        rows = self._door.rows(
            "SELECT genre FROM ordered WHERE at_ms >= ? AND at_ms < ? ORDER BY id", (start_ms, end_ms)
        )
        return Viewed(minutes, [genre for (genre,) in rows], region)

    def _forget(self, week: Week, now: datetime, left: tuple[list[_Waiting], list[Run]]) -> None:
        end_ms = to_ms(week.end(self._zone))
        waiting, still = left
        with self._door.transaction():
            moments = ((one, self._moment(week, now)) for one in waiting)
            self._door.write_many(
                "INSERT INTO outbox (week, measure, cell, value, words, token, due_ms, tries)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                [(*_columns(one), due_ms) for one, due_ms in moments if due_ms is not None],
            )
            self._wallet.drop_tokens(str(week))
            self._recorder.forget_before(end_ms, still)
            self._door.write("DELETE FROM rolled")
            self._door.write("INSERT INTO rolled (week) VALUES (?)", (str(week),))

    def _moment(self, week: Week, now: datetime) -> int | None:
        """A random moment among those that are left; None if they are too few to be spread over."""
        end = week.end(self._zone)
        last = to_ms(end + timedelta(days=SENDING_DAYS))
        start = max(to_ms(now), to_ms(end) + CLOCK_MARGIN_MS)
        if last - start < SPREAD_MS:
            last = to_ms(week.closes(self._zone)) - LATE_MS
        return moment(start, last, self._random_below) if last - start >= LEAST_SPREAD_MS else None

    # Station 3: each fragment by itself.

    def _send_due(self, now: datetime) -> None:
        self._draw_again(now)
        # One at a time from the table: consent may be withdrawn while one is on its way.
        while waiting := self._next(now):
            if waiting.tries >= MOST_TRIES:
                self._done(waiting, now, UNANSWERED)
                continue
            again = to_ms(now) + moment(*RETRY_MS, self._random_below)
            # Counted before it is sent, so that a crash cannot make a fifth.
            self._door.write(
                "UPDATE outbox SET tries = tries + 1, due_ms = ? WHERE id = ?", (again, waiting.number)
            )
            self._send(waiting, now)

    def _next(self, now: datetime) -> _Waiting | None:
        row = self._door.row(
            "SELECT id, week, measure, cell, value, words, token, tries FROM outbox WHERE due_ms <= ?"
            " ORDER BY due_ms LIMIT 1",
            (to_ms(now),),
        )
        if row is None:
            return None
        number, text, measure, cell, value, words, token, tries = row
        week = Week.parse(text)
        return _Waiting(number, week, Fragment(measure, week, cell, value), words, token, tries)

    def _draw_again(self, now: datetime) -> None:
        rows = self._door.rows("SELECT id, week FROM outbox WHERE due_ms < ?", (to_ms(now) - MISSED_MS,))
        for number, week in rows:
            again = self._moment(Week.parse(week), now)
            if again is None:
                self._door.write("DELETE FROM outbox WHERE id = ?", (number,))
            else:
                self._door.write("UPDATE outbox SET due_ms = ? WHERE id = ?", (again, number))

    def _send(self, waiting: _Waiting, now: datetime) -> None:
        try:
            config = self._open(waiting.week).directory.key_config()
            sealed = seal_fragment(waiting.fragment, waiting.token, config, self._random_bytes)
            status = sealed.open(self._line.post_sealed(sealed.body).body)
        except (LineDownError, UnreadableAnswerError):
            if waiting.tries + 1 >= MOST_TRIES:
                self._done(waiting, now, UNANSWERED)
        except RefusedError:
            self._done(waiting, now, REFUSED)
        except StbError as error:  # it cannot be sealed, so nothing left and nothing ever will
            self._alarms.sound(f"fragment-{type(error).__name__}", now)
            self._door.write("DELETE FROM outbox WHERE id = ?", (waiting.number,))
        else:
            self._done(waiting, now, COUNTED if status // 100 == 2 else REFUSED)  # noqa: PLR2004 (RFC 9110: 2xx)

    def _done(self, waiting: _Waiting, now: datetime, outcome: str) -> None:
        with self._door.transaction():
            self._door.write("DELETE FROM outbox WHERE id = ?", (waiting.number,))
            self._log.add(now, str(waiting.week), waiting.words, outcome)

    def _open(self, week: Week) -> OpenDirectory:
        raw = self._wallet.directory(str(week))
        if raw is None:
            raise BadDirectoryError("the directory is gone")
        return open_directory(raw, self._place.pinned, week)

    def _drop_closed(self, now: datetime) -> None:
        first_open = str(Week.of(now, self._zone).plus(-1))
        if self._door.row("SELECT 1 FROM directories WHERE week < ?", (first_open,)):
            with self._door.transaction():
                self._door.write("DELETE FROM outbox WHERE week < ?", (first_open,))
                self._door.write("DELETE FROM wallet WHERE week < ?", (first_open,))
                self._door.write("DELETE FROM directories WHERE week < ?", (first_open,))


def _columns(one: _Waiting) -> tuple[str, int, int, int, str, bytes]:
    found = one.fragment
    return str(one.week), found.measure_number, found.cell, found.value, one.words, one.token
