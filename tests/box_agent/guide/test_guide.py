import gzip
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from box_agent.guide.categories import Categories
from box_agent.guide.guide import Guide
from box_agent.guide.programme import Programme
from box_agent.guide.store import GUIDE_NAME, GuideStore
from shared.clock import ManualClock, to_ms

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = 3_600_000
DAY = 24 * HOUR
T = to_ms(NOON)


class Bench:
    """A guide over a file that the test writes."""

    def __init__(self, folder):
        self.file = folder / "guide.xml"
        self.store = GuideStore(folder / GUIDE_NAME)
        self.clock = ManualClock(NOON)
        self.written = 0
        self.begin()

    def begin(self):
        self.guide = Guide(self.file, self.store, Categories(), self.clock)

    def write(self, *programmes, names=(("a", "Channel A"),), pack=False):
        parts = [f'<channel id="{i}"><display-name>{n}</display-name></channel>' for i, n in names]
        for channel, start, end, *categories in programmes:
            stop = "" if end is None else f' stop="{_time(end)}"'
            words = "".join(f"<category>{one}</category>" for one in categories)
            parts.append(f'<programme start="{_time(start)}"{stop} channel="{channel}">{words}</programme>')
        raw = f"<tv>{''.join(parts)}</tv>".encode()
        self.put(gzip.compress(raw) if pack else raw)

    def put(self, raw):
        self.file.write_bytes(raw)
        self.written += 1
        os.utime(self.file, ns=(self.written, self.written))

    def look(self):
        return self.guide.look(threading.Event())

    def on(self, start=-10 * DAY, end=10 * DAY, channel="a"):
        found = self.guide.programmes(channel, T + start, T + end)
        return [(one.start_ms - T, one.end_ms - T, one.code) for one in found]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def _time(offset_ms):
    return f"{NOON + timedelta(milliseconds=offset_ms):%Y%m%d%H%M%S} +0000"


def test_what_was_on_is_answered_for_a_stretch(bench):
    bench.write(("a", 0, HOUR, "Sport"), ("a", HOUR, 2 * HOUR, "Nieuws"), ("b", 0, HOUR, "Film"), pack=True)
    assert bench.look()
    found = bench.guide.programmes("a", T + HOUR - 1, T + HOUR + 1)
    assert found == [Programme(T, T + HOUR, 0x40), Programme(T + HOUR, T + 2 * HOUR, 0x20)]
    assert bench.on(HOUR, 2 * HOUR) == [(HOUR, 2 * HOUR, 0x20)]
    assert bench.on(channel="b") == [(0, HOUR, 0x10)]
    assert bench.on(channel="c") == []


def test_a_channel_is_known_by_its_name_as_well(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    assert bench.on(channel="channel  A") == [(0, HOUR, 0x40)]


def test_an_id_goes_before_another_channels_name(bench):
    bench.write(("a", 0, HOUR, "Sport"), ("b", 0, HOUR, "Film"), names=(("b", "a"), ("a", "b")))
    bench.look()
    assert bench.on(channel="a") == [(0, HOUR, 0x40)]


def test_without_a_stop_a_programme_ends_where_the_next_begins(bench):
    bench.write(("a", 0, None, "Sport"), ("a", HOUR, None, "Film"))
    bench.look()
    assert bench.on() == [(0, HOUR, 0x40), (HOUR, 5 * HOUR, 0x10)]


def test_of_two_that_overlap_the_one_that_began_later_is_on(bench):
    bench.write(("a", 0, 3 * HOUR, "Sport"), ("a", HOUR, 2 * HOUR, "Film"))
    bench.look()
    assert bench.on() == [(0, HOUR, 0x40), (HOUR, 2 * HOUR, 0x10)]


def test_a_programme_that_is_told_twice_is_the_one_told_last(bench):
    bench.write(("a", 0, HOUR, "Sport"), ("a", 0, HOUR, "Film"))
    bench.look()
    assert bench.on() == [(0, HOUR, 0x10)]


def test_the_past_that_a_new_file_no_longer_has_is_kept(bench):
    bench.write(("a", -DAY, -DAY + HOUR, "Sport"), ("a", -HOUR, HOUR, "Sport"), ("a", HOUR, 2 * HOUR, "Film"))
    bench.look()
    bench.write(("a", 0, HOUR, "Nieuws"), ("a", 3 * HOUR, 4 * HOUR, "Nieuws"))
    assert bench.look()
    assert bench.on() == [
        (-DAY, -DAY + HOUR, 0x40),
        (-HOUR, 0, 0x40),
        (0, HOUR, 0x20),
        (3 * HOUR, 4 * HOUR, 0x20),
    ]


def test_a_channel_that_a_new_file_does_not_have_stays(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    bench.write(("b", 0, HOUR, "Film"))
    bench.look()
    assert bench.on() == [(0, HOUR, 0x40)]


def test_only_fifteen_days_back_and_ahead_are_kept(bench):
    far = 16 * DAY
    bench.write(("a", -far, HOUR - far, "Sport"), ("a", 0, HOUR, "Sport"), ("a", far, far + HOUR, "Sport"))
    bench.look()
    assert bench.on(-2 * far, 2 * far) == [(0, HOUR, 0x40)]
    assert bench.guide.counts()["skipped"] == {"outside-window": 2}
    bench.clock.advance(timedelta(days=16))
    bench.write(("a", far, far + HOUR, "Film"))
    bench.look()
    assert bench.on(-2 * far, 2 * far) == [(far, far + HOUR, 0x10)]


def test_an_unchanged_file_is_not_read_again_even_by_another_process(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    assert bench.look()
    assert not bench.look()
    bench.begin()
    assert not bench.look()
    assert bench.on() == [(0, HOUR, 0x40)]


@pytest.mark.parametrize("raw", [b"<tv><programme", b"", b"\x1f\x8bnonsense", b"<rss/>"])
def test_a_refused_file_changes_nothing_and_is_not_read_again(bench, raw):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    bench.put(raw)
    assert not bench.look()
    assert not bench.look()
    assert bench.on() == [(0, HOUR, 0x40)]
    assert bench.guide.counts()["refused"] == 1
    bench.write(("a", 0, HOUR, "Film"))
    assert bench.look()
    assert bench.on() == [(0, HOUR, 0x10)]


def test_a_file_that_breaks_off_after_many_programmes_changes_nothing(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    many = "".join(
        f'<programme start="{_time(n * 60_000)}" channel="a"><category>Film</category></programme>'
        for n in range(2000)
    )
    bench.put(f"<tv>{many}".encode())
    assert not bench.look()
    assert bench.on() == [(0, HOUR, 0x40)]
    bench.write(("a", HOUR, 2 * HOUR, "Film"))
    bench.look()
    assert bench.on() == [(0, HOUR, 0x40), (HOUR, 2 * HOUR, 0x10)]


def test_a_file_that_is_not_there_is_counted_and_looked_for_again(bench):
    assert not bench.look()
    assert bench.guide.counts()["unreadable"] == 1
    bench.write(("a", 0, HOUR, "Sport"))
    assert bench.look()


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 9000)],
    ids=["lost", "damaged"],
)
def test_a_lost_or_damaged_store_is_loaded_again(bench, damage):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    path = bench.file.with_name(GUIDE_NAME)
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    damage(path)
    assert bench.on() == []
    assert bench.look()
    assert bench.on() == [(0, HOUR, 0x40)]


def test_a_stop_in_the_middle_of_a_file_leaves_the_guide_as_it_was(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    stop = threading.Event()
    stop.set()
    assert not bench.guide.look(stop)
    assert bench.on() == []
    assert bench.look()


def test_the_thread_loads_what_is_there_and_ends_when_told(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    stop = threading.Event()
    thread = threading.Thread(target=bench.guide.run, args=(stop,))
    thread.start()
    while not bench.on():
        assert thread.is_alive()
        stop.wait(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_who_asks_while_the_store_is_made_does_not_hinder_it(tmp_path):
    for turn in range(30):
        folder = tmp_path / str(turn)
        folder.mkdir()
        bench = Bench(folder)
        bench.write(("a", 0, HOUR, "Sport"))
        done = threading.Event()

        def ask(bench=bench, done=done):
            while not done.is_set():
                bench.on()

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for asker in askers:
            asker.start()
        loaded = bench.look()
        done.set()
        for asker in askers:
            asker.join()
        assert loaded, bench.guide.counts()


def test_a_store_of_another_version_is_made_anew_and_for_its_owner_alone(bench):
    bench.write(("a", 0, HOUR, "Sport"))
    bench.look()
    place = bench.file.with_name(GUIDE_NAME)
    with closing(sqlite3.connect(place)) as other:
        other.execute("PRAGMA user_version = 7")
        other.execute("DROP TABLE programme")
    bench.begin()
    bench.write(("a", HOUR, 2 * HOUR, "Film"))
    assert bench.look()
    assert bench.on() == [(HOUR, 2 * HOUR, 0x10)]
    assert place.stat().st_mode & 0o777 == 0o600


def test_unmapped_categories_are_told(bench):
    bench.write(("a", 0, HOUR, "Sjoelbakken"), ("a", HOUR, 2 * HOUR, "Sport"))
    bench.look()
    assert bench.guide.counts()["unmapped"] == {"Sjoelbakken": 1}
    assert bench.on() == [(0, HOUR, 0), (HOUR, 2 * HOUR, 0x40)]
