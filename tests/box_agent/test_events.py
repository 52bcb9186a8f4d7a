import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.events import (
    BY_BOX,
    EVENTS,
    KINDS,
    MAX_EVENT,
    BadEventError,
    Event,
    Item,
    as_told,
    pack,
    read_event,
    unpack,
)
from shared.genres import GENRES

ITEMS = st.builds(
    Item,
    kind=st.sampled_from(KINDS),
    genre=st.integers(0, 255) | st.sampled_from(GENRES),
    broadcast_day=st.none() | st.dates(),
    ref=st.text(st.characters(exclude_categories=["Cs"]), max_size=128),
    channel=st.text(st.characters(exclude_categories=["Cs"]), max_size=128),
)
WHOLE = st.builds(
    Event,
    event=st.sampled_from(EVENTS),
    at_ms=st.none() | st.integers(0, 253402300799999),
    seq=st.integers(0, 2**53),
    item=ITEMS,
    rate=st.floats(-1024, 1024),
    tuner=st.text("ab", max_size=32),
    by=st.sampled_from(["user", "box"]),
)


@given(WHOLE)
def test_what_is_told_stored_and_read_again_is_the_same(event: Event) -> None:
    assert read_event(json.dumps(as_told(event)).encode()) == event if len(pack(event)) < MAX_EVENT else True
    assert read_event(as_told(event)) == event
    assert unpack([pack(event), pack(event)]) == [event, event]


def test_what_an_earlier_version_stored_is_read() -> None:
    stored = (
        b'{"v":1,"event":"play","at_ms":5,"item":{"kind":"catchup","broadcast_day":"2026-10-05"},"rate":1.0}'
    )
    item = Item(kind="catchup", broadcast_day=date(2026, 10, 5))
    assert unpack([stored]) == [Event(event="play", at_ms=5, item=item, rate=1.0)]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "an object"),
        ({}, "a name"),
        ({"event": "dance"}, "event: is one of"),
        ({"event": "alive"}, "event: is one of"),
        ({"event": "key", "v": 2}, "v: is one of"),
        ({"event": "key", "v": True}, "v: is one of"),
        ({"event": "key", "title": "x"}, "no 'title'"),
        ({"event": "play"}, "needs an item"),
        ({"event": "rate"}, "needs a rate"),
        ({"event": "rate", "rate": True}, "rate: is a number"),
        ({"event": "rate", "rate": 10**400}, "rate: is a number"),
        ({"event": "rate", "rate": "1"}, "rate: is a number"),
        ({"event": "key", "at_ms": -1}, "at_ms: is a whole number"),
        ({"event": "key", "at_ms": 1.0}, "at_ms: is a whole number"),
        ({"event": "key", "at_ms": 253402300800000}, "at_ms: is a whole number"),
        ({"event": "key", "seq": None}, "seq: is a whole number"),
        ({"event": "key", "seq": False}, "seq: is a whole number"),
        ({"event": "key", "tuner": "x" * 33}, "tuner: is a text"),
        ({"event": "key", "tuner": "\ud800"}, "no Unicode"),
        ({"event": "key", "by": "nobody"}, "by: is one of"),
        ({"event": "play", "item": {}}, "a kind"),
        ({"event": "play", "item": []}, "an item is an object"),
        ({"event": "play", "item": {"kind": "film"}}, "kind: is one of"),
        ({"event": "play", "item": {"kind": "vod", "genre": 256}}, "genre: is a DVB byte"),
        ({"event": "play", "item": {"kind": "vod", "genre": True}}, "genre: is a DVB byte"),
        ({"event": "play", "item": {"kind": "vod", "genre": "thrillers"}}, "genre: is a DVB byte"),
        ({"event": "play", "item": {"kind": "vod", "title": "x"}}, "an item has no 'title'"),
        ({"event": "play", "item": {"kind": "vod", "broadcast_day": "20261005"}}, "such as 2006-01-31"),
        ({"event": "play", "item": {"kind": "vod", "broadcast_day": "2026-02-30"}}, "such as 2006-01-31"),
        ({"event": "play", "item": {"kind": "vod", "ref": "x" * 129}}, "ref: is a text"),
    ],
)
def test_an_event_of_another_form_is_refused_with_its_reason(told: object, why: str) -> None:
    with pytest.raises(BadEventError, match=why):
        read_event(told)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"\xff",
        b"[" * 3000,
        b'{"event": "rate", "rate": NaN}',
        b'{"event": "rate", "rate": Infinity}',
        b'{"event": "key", "seq": ' + b"9" * 4000 + b"}",
        b'{"event": "key"}' + b" " * MAX_EVENT,
    ],
)
def test_bytes_that_are_no_event_are_refused(raw: bytes) -> None:
    with pytest.raises(BadEventError):
        read_event(raw)


def test_an_item_without_a_byte_tells_its_genre_in_general() -> None:
    assert Item(kind="live", genre="sports").detail_name() == "sports-general"
    assert Item(kind="live", genre=0x43).genre_name() == "sports"
    assert Event("wake", by=BY_BOX).at_ms is None
