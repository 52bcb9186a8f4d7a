import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.directories import NoRegionsError, make_directory
from shared import dsse
from shared.directory import read_directory
from shared.register import in_force, profile
from shared.weeks import Week
from tests.builders import SETTINGS

KEY = Ed25519PrivateKey.generate()
WEEK = Week(2026, 43)
SMALL = profile("small")
# The first week that begins after the review date of the ordered genre.
LATER = Week(*SMALL.measure("ordered-genre").review.isocalendar()[:2]).plus(1)


def made(week, settings=SETTINGS, measures=SMALL.measures):
    keys = {measure.name: b"k" for measure in measures}
    raw = make_directory(settings, week, keys, b"config", KEY)
    return read_directory(
        dsse.verify(raw, dsse.PayloadType.DIRECTORY, KEY.public_key(), limit=len(raw)), week
    )


def test_a_week_publishes_the_measures_of_its_profile():
    assert made(WEEK).taken() == SMALL


def test_a_measure_past_its_review_is_not_published_and_needs_no_key():
    rest = in_force(SMALL, LATER.monday())
    assert {one.name for one in SMALL.measures} - {one.name for one in rest.measures} == {"ordered-genre"}
    found = made(LATER, measures=rest.measures)
    assert [one.measure for one in found.token_keys] == ["genre", "viewing"]
    assert found.taken() == rest


def test_when_every_review_has_passed_a_week_takes_nothing():
    found = made(Week(2040, 1), measures=())
    assert (found.measures, found.token_keys) == ([], [])
    assert found.taken().rho_micro == 0


def test_a_measure_by_region_without_regions_is_refused_before_it_is_published():
    regional = dataclasses.replace(SETTINGS, profile="regional")
    with pytest.raises(NoRegionsError, match="genre-region"):
        made(WEEK, regional, profile("regional").measures)
    mapped = dataclasses.replace(regional, regions=("north",), areas={"1": "north"})
    assert made(WEEK, mapped, profile("regional").measures).taken() == profile("regional")
