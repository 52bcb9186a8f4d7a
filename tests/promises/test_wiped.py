"""After a wipe no file of the box holds what its household watched, nor how it was told."""

import zlib
from datetime import timedelta

import pytest

from box_agent.consent import Shown
from box_agent.events import read_event
from shared.clock import to_ms
from tests.box_agent.fakes import W41, YES, ZONE, Bench
from tests.promises.needles import Needles

pytestmark = pytest.mark.promise

NIGHTS = 12
TITLE = "Title of film-1"
CONTAINERS = [b"\x78\x9c", b"\x78\x01", b"\x78\xda"]


def title(night, evening):
    return f"A Particular Programme {night:02}-{evening}"


@pytest.fixture
def box(tmp_path):
    """A box that has lived: a week told, another recorded, orders, a log, and files that grew and shrank."""
    bench = Bench(tmp_path / "state")
    bench.enrol()
    bench.consent()
    bench.agent.set_pin("2580")
    bench.agent.place_order("film-1", YES)
    for night in range(NIGHTS):
        bench.run_until(to_ms(W41.start(ZONE)) + night * 86_400_000 + 64_800_000)
        for evening in range(4):
            item = {"kind": "live", "genre": "sports", "ref": title(night, evening)}
            bench.agent.report(read_event({"event": "play", "item": item}))
            bench.agent.flush()
            bench.clock.advance(timedelta(minutes=20))
            bench.agent.tick()
        bench.agent.report(read_event({"event": "stop"}))
        bench.agent.flush()
    return bench


def inflated(content):
    """What can be read of every deflated stream, also where it was overwritten after some bytes."""
    for mark in CONTAINERS:
        place = content.find(mark)
        while place >= 0:
            wanted, found = zlib.decompressobj(), b""
            for at in range(place, min(len(content), place + 8192)):
                try:
                    found += wanted.decompress(content[at : at + 1])
                except zlib.error:
                    break
            if found:
                yield found
            place = content.find(mark, place + 1)


def traces(bench, values):
    needles = Needles(value.encode() for value in values)
    found = set()
    for path in bench.settings.state().rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for part in (content, *inflated(content)):
                found |= {value.decode() for _, value in needles.found_in(part)}
    return found


def watched():
    return [title(night, evening) for night in range(NIGHTS) for evening in range(4)]


def said(bench):
    """The words of what waits and what was sent."""
    connection = bench.agent._store.connection()
    rows = connection.execute("SELECT words FROM outbox UNION ALL SELECT words FROM sentlog").fetchall()
    return [words for (words,) in rows]


def test_what_was_viewed_stands_on_the_disk_before(box):
    newest = title(NIGHTS - 1, 3)
    assert newest in traces(box, watched())


@pytest.mark.parametrize("everything", [False, True])
def test_after_a_wipe_nothing_of_what_was_viewed_is_found(box, everything):
    words = said(box)
    assert words
    box.agent.wipe("screen", everything=everything)
    assert traces(box, [*watched(), *words]) == set()
    box.agent.close()
    assert traces(box, [*watched(), *words]) == set()


def test_orders_stay_with_a_wipe_and_go_with_everything(box):
    box.agent.wipe("screen")
    assert traces(box, [TITLE]) == {TITLE}
    box.agent.wipe("screen", everything=True)
    assert traces(box, [TITLE, "film-1", "box-1"]) == set()


def test_deleting_alone_would_leave_traces(box):
    """Why a wipe does more than delete: the log of writes holds what was written to it."""
    box.agent._consent.withdraw(Shown("screen"), box.clock.now())
    assert traces(box, watched())


def test_the_copy_of_a_damaged_store_goes_with_a_withdrawal_already(box):
    box.agent.close()
    store = box.settings.state() / "box.sqlite"
    copy = store.with_name("box.sqlite.damaged")
    copy.write_bytes(store.read_bytes())
    box.consent(granted=False)
    assert not copy.exists()
