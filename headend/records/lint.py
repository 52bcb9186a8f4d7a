"""The register of measures, gone over: one function a rule, and no way to opt out of one.

After mozilla's glean_parser, where collection is declared and its declaration is linted. A rule gives a
sentence for each thing that is wrong; `headend measures lint` prints them and fails.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise

from msgspec import Struct

from headend.analytics.budget import MICRO, SPANS, WINDOW_WEEKS, epsilon
from headend.records.case import Case, Rule
from headend.records.shape import SHAPE_RULES
from shared.genres import detail_of_dvb, film_genre_of_dvb, general_detail, genre_of_dvb
from shared.notice import told_digest
from shared.register import REGION, Kind, Measure, values_of
from shared.words import LANGUAGES

REVIEW_AHEAD = timedelta(days=731)
"""How far ahead a review may be set: two years."""
LEAST_ACCOUNTS = 300
LEAST_BOXES_A_REGION = 750
LARGE_ACCOUNTS = 50_000
"""From so many accounts on a profile is a national one, and its regions are larger."""
LEAST_BOXES_A_LARGE_REGION = 5_000
# Written out here, and not asked of shared.genres: adult films, religion, politics, adult.
SENSITIVE = (0x18, 0x73, *range(0x80, 0x90), *range(0xC0, 0xD0))
_BYTE, _TWO_BYTES = 2**8, 2**16


class Problem(Struct, frozen=True):
    """Something wrong with the register, and the rule that found it."""

    rule: str
    text: str


def lint(case: Case) -> list[Problem]:
    """Everything that is wrong; where entries are missing, only that is told."""
    for rules in (SHAPE_RULES, RULES):
        found = [Problem(rule.__name__.replace("_", "-"), text) for rule in rules for text in rule(case)]
        if found:
            return found
    return []


# --- what may be sent


def a_minute_is_sent_once(case: Case) -> Iterator[str]:
    """Of a one-minute measure the token alone is the bound: its quota is 1."""
    for name, measure in case.taken():
        if measure.kind is Kind.ONE_MINUTE and measure.quota != 1:
            yield f"profile {name}, measure {measure.name}: a one-minute measure has quota 1"


def a_quota_covers_its_cells(case: Case) -> Iterator[str]:
    """A timed or untimed measure may fill each of its cells; a box is in one region only."""
    for name, measure in case.taken():
        cells = _cells(measure)
        if measure.kind is not Kind.ONE_MINUTE and measure.quota < cells:
            yield f"profile {name}, measure {measure.name}: quota {measure.quota} for {cells} cells"


def timed_measures_have_a_volume(case: Case) -> Iterator[str]:
    """V bounds what a timed cell says; other kinds have none."""
    for name, measure in case.taken():
        if (measure.volume_minutes > 0) != (measure.kind is Kind.TIMED):
            yield f"profile {name}, measure {measure.name}: V goes with a timed measure, and only with one"


def numbers_fit_their_bytes(case: Case) -> Iterator[str]:
    """A fragment has one byte for the measure and two for the cell; 0 is `none`."""
    for one in case.measures:
        if not 1 <= one["number"] < _BYTE:
            yield f"measure {one['name']}: number {one['number']} fits no byte"
    for name, measure in case.taken():
        if _cells(measure) >= _TWO_BYTES:
            yield f"profile {name}, measure {measure.name}: more cells than two bytes can number"


def numbers_and_names_are_given_once(case: Case) -> Iterator[str]:
    """Two measures with one number would be added up together."""
    for key in ("number", "name"):
        counted = Counter(measure[key] for measure in case.measures)
        yield from (f"{key} {one} is given {n} times" for one, n in counted.items() if n > 1)


def retired_numbers_and_names_stay_retired(case: Case) -> Iterator[str]:
    """What was once sent under a number or name stands in releases for ever."""
    retired = case.declared["retired"]
    for measure in case.measures:
        yield from (
            f"{measure[key]} was retired and is given to measure {measure['name']}"
            for key in ("number", "name")
            if measure[key] in retired
        )


def no_sensitive_code_is_told_apart(case: Case) -> Iterator[str]:  # noqa: ARG001 (it looks at the lists themselves)
    """What could tell a belief, an opinion or a sexual preference stays at level 1."""
    for code in SENSITIVE:
        if detail_of_dvb(code) != general_detail(genre_of_dvb(code)):
            yield f"DVB code {code:#04x} is sensitive and has a detail of its own"
        if genre_of_dvb(code) != genre_of_dvb(code & 0xF0):
            yield f"DVB code {code:#04x} is sensitive and has a genre of its own"
    if film_genre_of_dvb(0x18) is not None:
        yield "adult films have an ordered genre"


def regions_have_a_floor(case: Case) -> Iterator[str]:
    """A measure by region needs regions that are large enough."""
    by_region = {name for name, measure in case.taken() if REGION in measure.grid}
    for name, entry in case.profiles.items():
        floor = entry.get("min_boxes_a_region", 0)
        large = entry["min_accounts"] >= LARGE_ACCOUNTS
        least = LEAST_BOXES_A_LARGE_REGION if large else LEAST_BOXES_A_REGION
        if name in by_region and floor < least:
            yield f"profile {name}: a measure by region needs min_boxes_a_region of at least {least}"


def profiles_follow_each_other(case: Case) -> Iterator[str]:
    """Every panel from the floor on has one profile."""
    bounds = [(entry["min_accounts"], entry["max_accounts"]) for entry in case.profiles.values()]
    if bounds and bounds[0][0] < LEAST_ACCOUNTS:
        yield f"nothing is released below {LEAST_ACCOUNTS} accounts"
    yield from (
        f"profiles do not meet at {high[0]} accounts" for low, high in pairwise(bounds) if low[1] != high[0]
    )


# --- what it costs


def rho_adds_up(case: Case) -> Iterator[str]:
    """53 weeks of all its measures cost what the profile says."""
    for name, entry in case.profiles.items():
        year = WINDOW_WEEKS * sum(line["rho_micro"] for line in entry["measures"])
        if year != entry["rho_micro_year"]:
            yield f"profile {name} costs {year} millionths a year, and says {entry['rho_micro_year']}"


def epsilon_is_as_said(case: Case) -> Iterator[str]:
    """What 1, 4 and 53 weeks cost in epsilon is what the profile says."""
    for name, entry in case.profiles.items():
        week = sum(line["rho_micro"] for line in entry["measures"]) / MICRO
        found = [round(epsilon(weeks * week), 2) for weeks in SPANS] if week > 0 else []
        if found != entry["epsilon"]:
            yield f"profile {name} has epsilon {found}, and says {entry['epsilon']}"


def every_measure_costs_something(case: Case) -> Iterator[str]:
    """No noise can be drawn for nothing."""
    for name, measure in case.taken():
        if measure.rho_micro <= 0:
            yield f"profile {name}, measure {measure.name}: rho_micro is not above 0"


# --- who answers for it, and what households are told


def purposes_are_known(case: Case) -> Iterator[str]:
    """A measure has a declared purpose."""
    for measure in case.measures:
        if measure["purpose"] not in case.declared["purposes"]:
            yield f"measure {measure['name']}: no purpose {measure['purpose']!r}"


def every_measure_has_an_owner(case: Case) -> Iterator[str]:
    """Somebody answers for it."""
    yield from (f"measure {one['name']} has no owner" for one in case.measures if not one["owner"].strip())


def reviews_are_near_and_not_passed(case: Case) -> Iterator[str]:
    """A measure is looked at again within two years; past its date it is not taken."""
    for measure in case.measures:
        review = measure["review"]
        if review < case.today:
            yield f"measure {measure['name']}: its review date {review} has passed"
        if review > case.today + REVIEW_AHEAD:
            yield f"measure {measure['name']}: its review date {review} is more than two years ahead"


def everything_has_words(case: Case) -> Iterator[str]:
    """Households read it in their language."""
    values = {
        value
        for dimension in case.declared["dimensions"]
        if dimension != REGION
        for value in values_of(dimension, ())
    }
    for language, words in case.words.items():
        for measure in case.measures:
            yield from _unworded(language, "name", words.names, {measure["name"]})
            yield from _unworded(language, "measure", words.measures, {measure["name"]})
            yield from _unworded(language, "owner", words.owners, {measure["owner"]})
        yield from _unworded(language, "purpose", words.purposes, set(case.declared["purposes"]))
        yield from _unworded(language, "value", words.values, values)
    yield from (f"no words in {language}" for language in LANGUAGES if language not in case.words)


def the_notice_tells_of_these_measures(case: Case) -> Iterator[str]:
    """A new or changed measure needs a new version of the notice, and households are asked again."""
    notice = case.declared["notice"]
    told, version = notice["told"], notice["version"]
    if list(told) != [str(number) for number in range(1, version + 1)]:
        yield f"the notice is version {version}, and digests are kept of {', '.join(told)}"
        return
    found = told_digest(measure for _, measure in case.taken())
    if told[str(version)] != found:
        yield (
            f"the measures are not those that notice {version} tells of: give the notice a new version, and "
            f"pin {found} for it"
        )


RULES: tuple[Rule, ...] = (
    a_minute_is_sent_once,
    a_quota_covers_its_cells,
    timed_measures_have_a_volume,
    numbers_fit_their_bytes,
    numbers_and_names_are_given_once,
    retired_numbers_and_names_stay_retired,
    no_sensitive_code_is_told_apart,
    regions_have_a_floor,
    profiles_follow_each_other,
    rho_adds_up,
    epsilon_is_as_said,
    every_measure_costs_something,
    purposes_are_known,
    every_measure_has_an_owner,
    reviews_are_near_and_not_passed,
    everything_has_words,
    the_notice_tells_of_these_measures,
)


def _cells(measure: Measure) -> int:
    return math.prod(len(values_of(one, ())) for one in measure.grid if one != REGION)


def _unworded(language: str, what: str, told: Mapping[str, str], wanted: set[str]) -> Iterator[str]:
    yield from (f"no word in {language} for {what} {one}" for one in sorted(wanted) if not told.get(one))
