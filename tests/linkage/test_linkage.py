"""The short form. So few boxes exclude gross leaks only; `python -m tests.linkage` resolves 0.01."""

import pytest

from shared.register import profile
from tests.linkage import content, controls
from tests.linkage.__main__ import LEAK, WORSE, seen_by
from tests.linkage.attacks import MATCHES, PAIRS
from tests.linkage.judge import Sample, judge
from tests.linkage.place import ticks
from tests.linkage.samples import matches, pairs
from tests.linkage.world import play
from tests.simulator.seeded import seeded

BOXES, WORSE_BOXES = 45, 16
GROSS = 5
"""Standard errors above nothing, which hardly any of thirty scores exceeds by accident."""


@pytest.fixture(scope="module")
def held():
    return play(BOXES)


def test_no_score_lays_a_fragment_beside_its_box(held):
    samples = matches(held, seeded(1))
    found = {name: judge(samples, [place]) for place, name in enumerate(MATCHES)}
    assert len(held.opened) > 2 * BOXES
    assert {name: str(one) for name, one in found.items() if one.advantage > GROSS * one.error} == {}


def test_no_score_lays_a_fragment_beside_another_of_its_box(held):
    samples = pairs(held, seeded(1))
    found = {name: judge(samples, [place]) for place, name in enumerate(PAIRS)}
    assert {name: str(one) for name, one in found.items() if one.advantage > GROSS * one.error} == {}


def test_every_nonce_is_found_in_the_database_and_in_its_log(held):
    nonces = {one.token.nonce for one in held.opened}
    assert nonces <= held.where.keys()
    assert nonces <= held.frame.keys()


def test_each_fragment_has_a_moment_of_its_own_on_no_beat():
    found = ticks()
    assert found.jitter_ms >= found.every_ms, "else all that a box sends comes on its own beat"


@pytest.mark.parametrize(
    "name", ["everything sent at the roll-up", "everything on the beat of the ticks", "no blinding"]
)
def test_where_the_product_is_worse_the_same_adversary_sees_it(name):
    control, score, counted = WORSE[name]
    found = seen_by(score, play(WORSE_BOXES, 1, control, counted=counted))
    assert found.advantage > LEAK


def test_one_minute_for_all_measures_would_be_seen():
    apart, shared = (
        judge(content.across_measures(60, way), [0])
        for way in (content.fragments, controls.one_minute_for_all)
    )
    assert shared.shown_above(LEAK)
    assert shared.advantage > apart.advantage + LEAK


def test_exact_minutes_would_be_seen():
    rounded = judge(content.across_volumes(60), [0])
    with controls.exact_minutes():
        exact = judge(content.across_volumes(60), [0])
    assert exact.shown_above(0.4)
    assert exact.advantage > rounded.advantage + LEAK


def test_the_judge_sees_what_is_there_and_nothing_else():
    random = seeded(7)
    samples = [
        Sample(random.randrange(2), true, (random.randrange(4) + (3 if true else 0), random.randrange(50)))
        for true in (True, False)
        for _ in range(800)
    ]
    assert judge(samples, [0]).shown_above(0.4)
    assert abs(judge(samples, [1]).advantage) < GROSS * judge(samples, [1]).error
    assert judge(samples, [0, 1]).shown_above(0.3)


def test_what_readers_of_releases_gain_follows_from_the_budget():
    bounds = [content.release_bound(profile("small").rho_micro / 1e6), content.release_bound(0.0025)]
    assert [round(one, 3) for one in bounds] == [0.045, 0.02]
