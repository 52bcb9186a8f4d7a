import dataclasses
from datetime import date, timedelta

import msgspec
import pytest

from headend.records import lint as rules
from headend.records.case import Case, packaged
from headend.records.lint import REVIEW_AHEAD, RULES, lint
from headend.records.shape import SHAPE_RULES

TODAY = date(2026, 11, 22)


@pytest.fixture
def case():
    return packaged(TODAY)


def wrong(case):
    return {problem.rule for problem in lint(case)}


def measure(case, name):
    return next(one for one in case.declared["measures"] if one["name"] == name)


def line(case, profile, name):
    return next(one for one in case.declared["profiles"][profile]["measures"] if one["name"] == name)


def test_nothing_is_wrong_with_the_register_packaged_here(case):
    assert lint(case) == []


# What breaks a rule, and the rule that it breaks; what it breaks besides is not asked.
BREAKS = {
    "every-entry-is-there": lambda case: measure(case, "genre").pop("owner"),
    "profiles-take-declared-measures": lambda case: line(case, "small", "genre").update(name="titles"),
    "dimensions-are-known": lambda case: measure(case, "genre").update(grid=["title"]),
    "a-minute-is-sent-once": lambda case: line(case, "small", "genre").update(quota=2),
    "a-quota-covers-its-cells": lambda case: line(case, "regional", "genre-reach").update(quota=10),
    "timed-measures-have-a-volume": lambda case: line(case, "small", "viewing").pop("volume_minutes"),
    "numbers-fit-their-bytes": lambda case: measure(case, "genre").update(number=256),
    "numbers-and-names-are-given-once": lambda case: measure(case, "genre").update(number=2),
    "retired-numbers-and-names-stay-retired": lambda case: case.declared["retired"].append("genre"),
    "regions-have-a-floor": lambda case: case.declared["profiles"]["national"].update(min_boxes_a_region=750),
    "profiles-follow-each-other": lambda case: case.declared["profiles"]["small"].update(max_accounts=2000),
    "rho-adds-up": lambda case: line(case, "small", "genre").update(rho_micro=7501),
    "epsilon-is-as-said": lambda case: case.declared["profiles"]["small"].update(epsilon=[0.9, 1.88, 7.56]),
    "every-measure-costs-something": lambda case: line(case, "small", "genre").update(rho_micro=0),
    "purposes-are-known": lambda case: measure(case, "genre").update(purpose="advertising"),
    "every-measure-has-an-owner": lambda case: measure(case, "genre").update(owner=" "),
    "reviews-are-near-and-not-passed": lambda case: measure(case, "genre").update(
        review=TODAY - timedelta(days=1)
    ),
    "everything-has-words": lambda case: measure(case, "genre").update(owner="somebody new"),
    "the-notice-tells-of-these-measures": lambda case: case.declared["notice"]["told"].update(
        {"2": "0" * 64}
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_what_breaks_a_rule_is_found(case, rule):
    BREAKS[rule](case)
    assert rule in wrong(case)


def test_every_rule_was_broken_once():
    names = {rule.__name__.replace("_", "-") for rule in (*SHAPE_RULES, *RULES)}
    assert names == {*BREAKS, "no-sensitive-code-is-told-apart"}


def test_a_sensitive_code_with_a_detail_of_its_own_is_found(case, monkeypatch):
    monkeypatch.setattr(
        rules, "detail_of_dvb", lambda code: "arts-religion" if code == 0x73 else "other-general"
    )
    assert "DVB code 0x73 is sensitive and has a detail of its own" in [one.text for one in lint(case)]


def test_adult_films_with_an_ordered_genre_are_found(case, monkeypatch):
    monkeypatch.setattr(rules, "film_genre_of_dvb", lambda _code: "film-adult")
    assert wrong(case) == {"no-sensitive-code-is-told-apart"}


@pytest.mark.parametrize(
    "change",
    [
        lambda case: case.declared["measures"].append(
            measure(case, "genre") | {"name": "genre", "number": 10, "grid": ["genre", "shift", "daypart"]}
        ),
        lambda case: line(case, "small", "viewing").update(volume_minutes=6000),
        lambda case: case.declared["profiles"]["small"]["measures"].append(
            {"name": "genre-shift", "kind": "untimed", "quota": 66, "rho_micro": 1}
        ),
        lambda case: line(case, "small", "viewing").update(quota=3),
        lambda case: measure(case, "genre").update(grid=["detail"]),
    ],
    ids=["grid-by-a-second-entry", "volume", "kind", "quota", "grid"],
)
def test_a_new_or_changed_measure_needs_a_new_notice(case, change):
    change(case)
    assert "the-notice-tells-of-these-measures" in wrong(case)


def test_a_new_notice_needs_its_digest(case):
    case.declared["notice"]["version"] = 3
    assert wrong(case) == {"the-notice-tells-of-these-measures"}


def test_a_review_may_be_two_years_ahead_and_no_more(case):
    measure(case, "genre")["review"] = TODAY + REVIEW_AHEAD
    assert lint(case) == []
    measure(case, "genre")["review"] += timedelta(days=1)
    assert wrong(case) == {"reviews-are-near-and-not-passed"}


def test_a_measure_by_region_in_a_profile_without_a_floor_is_found(case):
    del case.declared["profiles"]["regional"]["min_boxes_a_region"]
    assert wrong(case) == {"regions-have-a-floor"}


def test_a_word_that_one_language_lacks_is_found(case):
    french = msgspec.structs.replace(case.words["fr"], names={})
    found = lint(dataclasses.replace(case, words={**case.words, "fr": french}))
    assert {one.rule for one in found} == {"everything-has-words"}
    assert all("in fr" in one.text for one in found)
    assert "no words in fr" in [
        one.text for one in lint(Case(case.declared, TODAY, {"en": case.words["en"]}))
    ]


def test_a_profile_that_takes_a_measure_twice_or_of_no_kind_is_found(case):
    taken = case.declared["profiles"]["small"]["measures"]
    taken.append(dict(taken[0]))
    taken[1]["kind"] = "daily"
    assert [one.text for one in lint(case)] == [
        "profile small takes genre twice",
        "profile small, measure viewing: no kind 'daily'",
    ]
