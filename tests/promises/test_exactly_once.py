"""An order that the box has placed is billed exactly once, whatever crashes."""

import pytest

from simulator.invariants import lost_and_doubled

pytestmark = [pytest.mark.promise, pytest.mark.journey]


def test_no_order_is_lost_or_doubled_over_faults_and_kills(town):
    assert town.outcome.killed == ["worker", "relay", "supervisor", "both"]
    assert town.outcome.account.kills > 0
    assert town.outcome.account.mishaps["double"] > 0
    assert lost_and_doubled(town.books, town.outcome.account) == ([], [])


def test_every_order_stands_somewhere_and_the_books_close(town):
    sums = town.books.sums
    assert sums["closes"]
    assert sums["in_flight"] == 0
    assert sums["received"] >= len(town.outcome.account.placed) > 500


def test_every_invariant_of_the_town_holds(town):
    assert [one for one in town.invariants.values() if not one.holds] == []


def test_every_attack_met_what_it_should(town):
    assert [attempt for attempt in town.outcome.attempts if not attempt.held] == []
    assert len(town.outcome.attempts) > 25
