import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from box_agent.sources.json_stream import MAX_DEPTH, MAX_OBJECT, JsonStream

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=5)


def fed(stream, raw, cuts=()):
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    return [one for a, b in pairwise(edges) for one in stream.feed(raw[a:b])]


@given(OBJECTS, st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from(["", " ", "\r\n"]))
def test_however_the_bytes_are_cut_the_objects_are_the_same(objects, cuts, between):
    raw = between.join(json.dumps(one, ensure_ascii=False) for one in objects).encode()
    stream = JsonStream()
    assert fed(stream, raw, cuts) == objects
    assert stream.unreadable == 0


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_no_bytes_make_it_fail_and_the_cuts_do_not_matter(raw, cuts):
    whole, cut = JsonStream(), JsonStream()
    assert fed(whole, raw) == fed(cut, raw, cuts)


def test_brackets_and_quotes_within_texts_are_text():
    told = {"a": 'he said "}{" \\', "b": ["]", {"c": '\\"'}]}
    assert fed(JsonStream(), json.dumps(told).encode() * 2, range(200)) == [told, told]


@pytest.mark.parametrize("noise", [b"garbage", b"}}}]", b"[1,2]", b'"text"', b"\xff\xfe", b"null 17"])
def test_what_lies_between_objects_is_skipped_and_counted(noise):
    stream = JsonStream()
    assert fed(stream, b'{"a":1}' + noise + b'{"b":2}') == [{"a": 1}, {"b": 2}]
    assert stream.unreadable == 1


@pytest.mark.parametrize("broken", [b'{"a":}', b'{"a":"\xff"}', b"{1:2}", b'{"a":[}]', b"{,}"])
def test_an_object_that_cannot_be_read_is_counted_and_the_next_one_is_read(broken):
    stream = JsonStream()
    assert fed(stream, broken + b'{"b":2}') == [{"b": 2}]
    assert stream.unreadable == 1


def test_an_object_that_is_too_large_is_skipped_without_being_held():
    stream = JsonStream()
    found = list(stream.feed(b'{"a":"'))
    for _ in range(64):
        found += stream.feed(b"x" * 65_536)
        assert len(stream._held) <= MAX_OBJECT
    found += stream.feed(b'"}{"b":2}')
    assert found == [{"b": 2}]
    assert stream.unreadable == 1


def test_an_object_that_nests_too_deep_is_skipped():
    stream = JsonStream()
    deep = b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
    fits = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert len(fed(stream, deep + b'{"b":2}' + fits)) == 2
    assert stream.unreadable == 1


def test_a_large_object_in_single_bytes_takes_time_in_step_with_its_size():
    def seconds(size):
        raw = b'{"a":"' + b"x" * size + b'"}'
        stream, began = JsonStream(), time.process_time()
        found = [one for at in range(len(raw)) for one in stream.feed(raw[at : at + 1])]
        assert len(found) == 1
        return time.process_time() - began

    small = min(seconds(20_000) for _ in range(3))
    assert seconds(160_000) < 8 * small * 4
