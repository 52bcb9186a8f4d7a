"""The simulated week: boxes ask when their own agents would, and come back as their agents do."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from benchmarks.capacity.arrivals import BIN_S, WEEK, ZONE, Curve, play, scene_of
from benchmarks.capacity.boxes import HEARTBEAT_MS, NAMED, TICK_MS, Draws, Life
from box_agent.outbox import APART_MS, CLOCK_MARGIN_MS, SENDING_DAYS
from box_agent.refill import BEFORE_END_MS
from shared.clock import to_ms
from simulator.town import Town, outages

HOUR_MS = 3_600_000
HOMES = 60


@pytest.fixture(scope="module")
def scene():
    return scene_of("national")


def lives(scene, seed: int = 1):
    town = Town(seed, HOMES)
    for number in range(HOMES):
        home = town.household(number)
        for box in home.boxes:
            draws = Draws(Random(f"{seed}/{box.key}"), ZONE)  # noqa: S311 (to be the same each time)
            yield box, list(Life(scene, draws, home, box).arrivals(drawn=box.index == 0))


def moments(arrivals, kind: str) -> list[int]:
    return sorted(at_ms for told, at_ms, _ in arrivals if told == kind)


def online(box, scene) -> bool:
    return not outages(box, *scene.span)


def test_tokens_are_asked_for_before_the_last_36_hours_of_the_week(scene):
    start, end = scene.span
    found = [at for box, one in lives(scene) if online(box, scene) for at in moments(one, "tokens")]
    assert len(found) > 10
    assert all(start <= at <= end - BEFORE_END_MS + TICK_MS for at in found)


def test_the_relays_directory_comes_hours_after_the_tokens(scene):
    pairs = [
        (moments(one, "tokens")[0], at)
        for box, one in lives(scene)
        if online(box, scene)
        for at in moments(one, "relayed directory")
    ]
    assert pairs
    assert all(APART_MS[0] <= later - asked < APART_MS[1] + TICK_MS for asked, later in pairs)


def test_the_last_weeks_fragments_leave_one_by_one_within_six_days(scene):
    start, _ = scene.span
    last = to_ms(WEEK.start(ZONE) + timedelta(days=SENDING_DAYS))
    of_boxes = [moments(one, "fragment") for box, one in lives(scene) if online(box, scene)]
    sent = [found for found in of_boxes if found]
    assert len(sent) > 10
    assert all(len(found) == scene.quota == 17 for found in sent)
    assert all(start + CLOCK_MARGIN_MS <= at < last for found in sent for at in found)


def test_a_box_without_consent_asks_for_nothing_but_its_orders_and_signs_of_life(scene):
    kinds = {told for box, one in lives(scene) if not box.consent for told, _, _ in one}
    assert kinds <= {"paid order", "free order", "delivery", "heartbeat", "catalogue"}


def test_heartbeats_are_a_day_apart_and_fetch_each_days_catalogue_once(scene):
    for box, arrivals in lives(scene):
        beats = moments(arrivals, "heartbeat")
        if online(box, scene):
            gaps = [later - one for one, later in pairwise(beats)]
            assert all(HEARTBEAT_MS <= gap <= HEARTBEAT_MS + TICK_MS for gap in gaps)
            assert len(moments(arrivals, "catalogue")) in {len(beats), len(beats) - 1}


def test_an_outage_answers_nobody_and_loses_nothing(scene):
    begins = to_ms(WEEK.start(ZONE) + timedelta(days=5, hours=18))
    down = (begins, begins + HOUR_MS)
    usual = dict(lives(scene))
    found = dict(lives(replace(scene, down=down)))
    failed = 0
    for box, arrivals in found.items():
        assert all(heard != (down[0] <= at < down[1]) for _, at, heard in arrivals)
        failed += sum(not heard for *_, heard in arrivals)
        before = [told for told in usual[box] if told[0].endswith("order")]
        after = [told for told in arrivals if told[0].endswith("order") and told[2]]
        assert len(after) <= len(before)  # what waits goes in one submission
        assert bool(after) == bool(before)
    assert failed


def test_a_town_plays_the_same_week_for_the_same_seed(scene):
    assert play(40, scene, seed=3) == play(40, scene, seed=3)
    assert play(40, scene, seed=3) != play(40, scene, seed=4)


def test_the_busiest_hour_is_the_mean_of_the_bins_around_it():
    bins = 2016
    counts = [0] * bins
    counts[1000] = 24
    nothing = {kind: [0] * bins for kind in NAMED}
    curve = Curve(2, 1, 0.5, nothing | {"heartbeat": counts}, nothing)
    assert curve.a_week("heartbeat") == 12
    assert curve.peak({"heartbeat": 1.0}) == pytest.approx(24 / 2 / (12 * BIN_S))
    assert curve.mean({"heartbeat": 1.0}) == pytest.approx(24 / 2 / (bins * BIN_S))
