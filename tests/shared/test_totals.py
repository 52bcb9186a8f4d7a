import msgspec
import pytest

from shared.totals import MAX_TOTALS, BadTotalsError, BoxTotals, read_totals
from shared.weeks import Week

TOTALS = BoxTotals(
    week="2026-W41",
    boxes={"north": 120, "none": 0},
    accounts_drawn=70,
    accounts_asked=44,
    issued={"genre": 44},
)


def changed(**fields):
    return msgspec.json.encode({**msgspec.to_builtins(TOTALS), **fields})


def test_totals_survive_their_bytes():
    assert read_totals(msgspec.json.encode(TOTALS)) == (Week(2026, 41), TOTALS)


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"week": "2026-41"},
        {"week": "2025-W53"},
        {"boxes": {"north": 121}},
        {"boxes": {"north": -10}},
        {"boxes": {"": 10}},
        {"accounts_asked": 71},
        {"accounts_drawn": 70.5},
        {"issued": {"genre": "many"}},
        {"accounts": ["acc-1"]},
    ],
    ids=str,
)
def test_totals_that_are_not_rounded_or_say_anything_else_are_refused(fields):
    with pytest.raises(BadTotalsError):
        read_totals(changed(**fields))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b" " * (MAX_TOTALS + 1)], ids=["empty", "no-text", "list", "large"]
)
def test_what_is_no_totals_file_is_refused(raw):
    with pytest.raises(BadTotalsError):
        read_totals(raw)
