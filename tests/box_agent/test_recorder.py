from pathlib import Path

import pytest

from box_agent import recorder as room
from box_agent.core import Core
from box_agent.events import BadEventError, Event, Item
from box_agent.recorder import BUFFER_EVENTS, BUFFER_SECONDS, SIGN_SECONDS
from box_agent.sessions import settle
from box_agent.store import StoreFullError
from box_agent.viewing import Viewing
from shared.clock import from_ms, to_ms
from shared.notice_version import notice_version
from tests.box_agent.fakes import START

MINUTE = 60
PLAY = Event(event="play", item=Item(kind="live", genre="news", ref="x"), rate=1.0)
STOP, KEY, PROGRESS = Event(event="stop"), Event(event="key"), Event(event="progress")


class Clock:
    """A wall clock that somebody sets, over a monotonic one that goes on."""

    def __init__(self, start_ms: int) -> None:
        self.wall_ms = start_ms
        self.seconds = 0.0

    def now(self):
        return from_ms(self.wall_ms)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float, jump: float = 0) -> None:
        self.seconds += seconds
        self.wall_ms += round((seconds + jump) * 1000)


class Box:
    """A core with consent and a clock; `minutes` is what it would say it viewed."""

    def __init__(self, folder: Path, boot: str = "first") -> None:
        self.folder = folder
        self.clock = Clock(to_ms(START))
        self.start(boot)
        self.core.consent.grant(notice_version(), room_shown(), self.clock.now())

    def start(self, boot: str) -> None:
        self.core = Core(str(self.folder), str(self.folder / "consent.json"), self.clock, boot)
        self.recorder = self.core.recorder

    def cut_the_power(self, boot: str = "second") -> None:
        self.core.store.park()
        self.start(boot)

    def tell(self, event: Event, after: float = 0) -> None:
        self.clock.advance(after)
        assert self.recorder.report(event)

    def stored(self) -> int:
        return self.recorder._viewing.count()

    def viewed_s(self) -> float:
        runs = [run.events for run in self.recorder.runs()]
        sessions = settle(runs, self.clock.wall_ms, self.clock.wall_ms)[0]
        return sum(one.viewed_ms() for one in sessions) / 1000


def room_shown():
    from box_agent.consent import Shown

    return Shown("test")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "box")


def test_the_first_event_after_a_start_is_durable_at_once_and_later_ones_are_not(box: Box) -> None:
    box.tell(PLAY)
    assert box.stored() == 1
    box.tell(KEY, 10)
    assert (box.stored(), box.recorder.on_hand()) == (1, 2)


def test_what_waits_is_written_together_when_its_time_has_come(box: Box) -> None:
    box.tell(PLAY)
    box.tell(KEY, 10)
    box.tell(KEY, 100)
    box.clock.advance(BUFFER_SECONDS - 101)
    box.recorder.tick()
    assert box.stored() == 1
    box.clock.advance(1)
    box.recorder.tick()
    rows = box.core.store.connection().execute("SELECT events FROM viewing").fetchall()
    assert rows == [(1,), (3,)], "with a sign of life, since something is on"


def test_a_burst_is_written_when_the_buffer_is_full(box: Box) -> None:
    box.tell(PLAY)
    for _ in range(BUFFER_EVENTS - 1):
        box.tell(KEY, 0.1)
    assert box.stored() == 1
    box.tell(KEY, 0.1)
    assert box.stored() == 1 + BUFFER_EVENTS


def test_signs_of_life_alone_wait_longer_and_the_last_of_them_is_enough(box: Box) -> None:
    box.tell(PLAY)
    for _ in range(14):
        box.tell(PROGRESS, MINUTE)
        box.recorder.tick()
    assert box.stored() == 1
    assert box.recorder.on_hand() <= 5, "one in five minutes, and the last"
    assert box.viewed_s() == 14 * MINUTE


def test_a_silence_between_signs_of_life_is_not_papered_over(box: Box) -> None:
    box.tell(PLAY)
    box.tell(PROGRESS, MINUTE)
    box.tell(PROGRESS, MINUTE)
    box.tell(PROGRESS, 20 * MINUTE)
    box.tell(PROGRESS, MINUTE)
    assert box.viewed_s() == 3 * MINUTE


def test_after_a_power_cut_what_was_on_ended_at_its_last_sign_of_life(box: Box) -> None:
    box.tell(PLAY)
    for _ in range(45):
        box.clock.advance(MINUTE)
        box.recorder.tick()
    box.cut_the_power()
    box.clock.advance(5 * 3600)
    box.tell(PLAY)
    box.tell(STOP, 10 * MINUTE)
    lost = 45 * MINUTE + 10 * MINUTE - box.viewed_s()
    assert 0 <= lost <= SIGN_SECONDS
    assert box.viewed_s() >= 40 * MINUTE


def test_after_a_power_cut_nothing_runs_on_either_while_nobody_has_touched_the_box_since(box: Box) -> None:
    box.tell(PLAY)
    box.tell(KEY, 10 * MINUTE)
    box.recorder.flush()
    box.cut_the_power()
    box.clock.advance(5 * 3600)
    box.recorder.tick()
    assert box.viewed_s() == 10 * MINUTE


def test_what_is_kept_of_an_earlier_start_stays_of_that_start(box: Box) -> None:
    box.tell(PLAY)
    box.tell(KEY, 10 * MINUTE)
    box.recorder.flush()
    box.cut_the_power()
    box.recorder.forget_before(box.clock.wall_ms - 1)
    box.cut_the_power(boot="second")
    assert [len(run.events) for run in box.recorder.runs()] == [1, 0], "nothing of it goes on"


def test_a_restart_of_the_agent_alone_ends_nothing(box: Box) -> None:
    box.tell(PLAY)
    box.cut_the_power(boot="first")
    box.tell(STOP, 30 * MINUTE)
    assert box.viewed_s() == 30 * MINUTE


def test_what_was_on_before_a_restart_of_the_agent_is_known_to_be_on_after_it(box: Box) -> None:
    box.tell(PLAY)
    box.cut_the_power(boot="first")
    for _ in range(45):
        box.clock.advance(MINUTE)
        box.recorder.tick()
    box.cut_the_power()
    assert box.viewed_s() >= 45 * MINUTE - SIGN_SECONDS > 0


def test_an_event_delivered_twice_counts_once(box: Box) -> None:
    start = box.clock.wall_ms
    box.clock.advance(1200)
    for event, at_ms in ((PLAY, start), (STOP, start + 600_000), (PLAY, start), (STOP, start + 600_000)):
        box.recorder.report(event._replace(at_ms=at_ms))
    assert box.viewed_s() == 600


@pytest.mark.parametrize("jump", [-3600, 3600, 86_400 * 3, -86_400])
def test_a_clock_that_jumps_makes_no_viewing_and_loses_none(box: Box, jump: float) -> None:
    box.clock.advance(2 * 86_400)
    box.tell(PLAY)
    box.clock.advance(600, jump)
    box.tell(KEY)
    box.tell(STOP, 300)
    assert box.viewed_s() == 900


def test_a_stop_that_tells_of_a_jump_ends_what_was_on(box: Box) -> None:
    box.clock.advance(86_400)
    box.tell(PLAY)
    box.clock.advance(600, jump=7200)
    box.tell(STOP)
    box.tell(PLAY._replace(item=Item(kind="live", ref="y")), 600)
    box.tell(STOP, 300)
    assert abs(box.viewed_s() - 900) < 0.01


def test_a_clock_set_back_does_not_mix_what_it_tells_twice(box: Box) -> None:
    box.clock.advance(86_400)
    box.tell(PLAY)
    box.tell(STOP, 30 * MINUTE)
    box.clock.advance(0, jump=-30 * MINUTE)
    box.recorder.tick()
    box.tell(KEY, 5 * MINUTE)
    box.tell(PLAY, 5 * MINUTE)
    box.tell(STOP, 10 * MINUTE)
    runs = [run.events for run in box.recorder.runs()]
    sessions = settle(runs, box.clock.wall_ms, box.clock.wall_ms)[0]
    assert [one.viewed_ms() for one in sessions] == [30 * 60_000, 10 * 60_000]


def test_a_box_that_starts_without_a_clock_stamps_its_events_when_it_is_set(box: Box) -> None:
    true_ms = box.clock.wall_ms + 86_400_000
    box.clock.wall_ms = 5_000  # 1970
    box.cut_the_power()
    box.tell(PLAY)
    box.tell(KEY, 20 * MINUTE)
    assert box.stored() == 0
    box.clock.wall_ms = true_ms + 1_200_000
    box.tell(STOP, 10 * MINUTE)
    (run,) = box.recorder.runs()
    assert [(event.event, event.at_ms - true_ms) for event in run.events] == [
        ("play", 0),
        ("key", 1_200_000),
        ("stop", 1_800_000),
    ]
    assert box.viewed_s() == 30 * MINUTE


def test_a_clock_that_falls_back_behind_the_consent_and_is_set_right_again_makes_no_viewing(box: Box) -> None:
    box.tell(PLAY)
    box.clock.advance(60, jump=-86_400)
    box.tell(KEY)
    box.tell(STOP, 60)
    box.clock.advance(60, jump=86_400 + 6000)
    box.recorder.tick()
    assert box.viewed_s() == 120


def test_what_a_box_without_a_clock_keeps_is_bounded_and_counted(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_HELD", 3)
    box.clock.wall_ms = 5_000
    for _ in range(5):
        box.tell(KEY, 1)
    assert (box.recorder.on_hand(), box.recorder.dropped) == (3, 2)


def test_a_recorder_is_idle_when_nothing_is_on_and_nothing_has_come_for_a_while(box: Box) -> None:
    box.tell(PLAY)
    box.clock.advance(3600)
    assert box.recorder.idle_s() == 0
    box.tell(STOP)
    box.clock.advance(100)
    assert box.recorder.idle_s() == 100
    box.recorder.report(PROGRESS._replace(at_ms=box.clock.wall_ms))  # of a source that stamps by itself
    assert box.recorder.idle_s() == 0


def test_an_event_of_the_future_is_refused(box: Box) -> None:
    with pytest.raises(BadEventError):
        box.recorder.report(KEY._replace(at_ms=box.clock.wall_ms + 3_600_000))


def test_a_full_disk_costs_no_event_until_memory_is_full_too(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_WAITING", 10)

    def full(*_args: object) -> None:
        raise StoreFullError("database or disk is full")

    append = Viewing.append
    monkeypatch.setattr(Viewing, "append", full)
    box.tell(PLAY)
    for _ in range(7):
        box.tell(KEY, 1)
    with pytest.raises(StoreFullError):
        box.recorder.flush()
    assert (box.recorder.on_hand(), box.recorder.dropped) == (8, 0)
    for _ in range(7):
        box.tell(KEY, 1)
    with pytest.raises(StoreFullError):
        box.recorder.flush()
    assert (box.recorder.on_hand(), box.recorder.dropped) == (10, 5)
    monkeypatch.setattr(Viewing, "append", append)
    box.clock.advance(room.RETRY_SECONDS)
    box.recorder.tick()
    assert box.stored() == 11, "and a sign of life"


def test_a_really_full_store_refuses_with_its_name_and_loses_nothing_it_has(box: Box) -> None:
    box.tell(PLAY)
    connection = box.core.store.connection()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    too_much = [(number, "x" * 900) for number in range(100)]
    with pytest.raises(StoreFullError):
        box.core.door.write_many("INSERT INTO ordered (at_ms, genre) VALUES (?, ?)", too_much)
    assert box.stored() == 1
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_viewing_takes_no_more_of_the_store_than_it_may(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("box_agent.viewing.MAX_BYTES", 1000)
    for number in range(40):
        box.tell(PLAY._replace(item=Item(kind="live", ref=f"{number:0100}")), 1)
        box.recorder.flush()
    rows = box.core.store.connection().execute("SELECT sum(length(body)), sum(events) FROM viewing")
    size, left = rows.fetchone()
    assert size <= 1000
    assert left + box.recorder.dropped == 40
    assert box.recorder.runs()[0].events[-1].item.ref == f"{39:0100}", "the oldest go first"


def test_forgetting_keeps_what_comes_later_in_the_same_batch(box: Box) -> None:
    start = box.clock.wall_ms
    box.tell(KEY)
    for _ in range(10):
        box.tell(KEY, 60)
    box.recorder.flush()
    box.recorder.forget_before(start + 5 * 60_000)
    (run,) = box.recorder.runs()
    assert [event.at_ms for event in run.events] == [start + n * 60_000 for n in range(5, 11)]


def test_without_consent_not_even_a_run_is_noted(tmp_path: Path) -> None:
    clock = Clock(to_ms(START))
    core = Core(str(tmp_path), str(tmp_path / "consent.json"), clock, "boot")
    assert not core.recorder.report(PLAY)
    core.recorder.tick()
    assert core.store.connection().execute("SELECT count(*) FROM viewing").fetchone() == (0,)
