"""Lines chained by hash."""

import pytest

from headend.kit.chain import GENESIS, follow, link

VALUES = [[1, "alice", "looked"], [2, "bob", "looked"], [3, "alice", None]]


def chained():
    head, lines = GENESIS, []
    for number, values in enumerate(VALUES, 1):
        head = link(head, values)
        lines.append([number, head, list(values)])
    return lines


def test_a_chain_that_nobody_touched_holds():
    verdict = follow(chained())
    assert (verdict.holds, verdict.lines, verdict.head) == (True, 3, chained()[-1][1])
    assert follow([]).holds


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_line_is_found(line):
    lines = chained()
    lines[line][2][1] = "mallory"
    assert follow(lines).broken == line + 1


@pytest.mark.parametrize("line", [0, 1])
def test_a_line_that_was_taken_away_is_found(line):
    lines = chained()
    del lines[line]
    assert follow(lines).broken == line + 1


def test_a_line_that_was_slipped_in_is_found():
    lines = chained()
    lines.insert(1, [2, link(lines[0][1], [2, "mallory", "x"]), [2, "mallory", "x"]])
    assert follow(lines).broken == 3


def test_values_cannot_be_moved_between_fields():
    assert link(GENESIS, ["ab", "c"]) != link(GENESIS, ["a", "bc"])


def test_a_number_that_was_left_out_is_found_although_the_hashes_fit():
    lines = chained()[:1]
    lines.append([3, link(lines[0][1], [3, "bob", "looked"]), [3, "bob", "looked"]])
    assert follow(lines).broken == 2
