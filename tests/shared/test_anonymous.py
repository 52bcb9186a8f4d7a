import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.anonymous import FRAGMENT_SIZE, Fragment, MalformedFragmentError, value_fits
from shared.register import Kind
from shared.weeks import Week

WEEKS = st.builds(Week, st.integers(1, 9998), st.integers(1, 52))
FRAGMENTS = st.builds(Fragment, st.integers(0, 255), WEEKS, st.integers(0, 65_535), st.integers(0, 255))
GOOD = Fragment(1, Week(2026, 41), 4, 1).encode()


@given(FRAGMENTS)
def test_a_fragment_survives_its_eight_bytes(fragment):
    raw = fragment.encode()
    assert len(raw) == FRAGMENT_SIZE == 8
    assert Fragment.decode(raw) == fragment


def test_the_bytes_are_those_that_the_protocol_shows():
    assert GOOD.hex() == "010107ea29000401"


@given(st.binary(max_size=20))
def test_whatever_is_read_has_one_spelling(raw):
    try:
        fragment = Fragment.decode(raw)
    except MalformedFragmentError:
        return
    assert fragment.encode() == raw


@pytest.mark.parametrize(
    "raw",
    [b"", GOOD[:7], GOOD + b"\0", b"\0" + GOOD[1:], b"\2" + GOOD[1:]],
    ids=["empty", "short", "long", "version-0", "version-2"],
)
def test_another_size_or_version_is_refused(raw):
    with pytest.raises(MalformedFragmentError):
        Fragment.decode(raw)


@pytest.mark.parametrize(("year", "number"), [(2026, 0), (2026, 54), (2025, 53), (0, 1), (10_000, 1)])
def test_a_week_that_is_in_no_calendar_is_refused(year, number):
    raw = GOOD[:2] + year.to_bytes(2, "big") + bytes([number]) + GOOD[5:]
    with pytest.raises(MalformedFragmentError, match="no such week"):
        Fragment.decode(raw)


@pytest.mark.parametrize("kind", Kind)
def test_none_carries_nothing(kind):
    assert value_fits(kind, 0, 0)
    assert not any(value_fits(kind, 0, value) for value in range(1, 256))


@pytest.mark.parametrize("kind", [Kind.ONE_MINUTE, Kind.UNTIMED])
def test_a_cell_without_time_counts_one(kind):
    assert [value for value in range(256) if value_fits(kind, 3, value)] == [1]


def test_a_timed_cell_counts_up_to_sixteen_sixteenths():
    assert [value for value in range(256) if value_fits(Kind.TIMED, 3, value)] == list(range(17))
