"""A measure or a profile in plain words: what a box sends for it, noise, cost, and what a reader learns."""

import math
from statistics import NormalDist

from msgspec import Struct

from headend.analytics.budget import MICRO, WINDOW_WEEKS, recognition
from shared.notice import cell_in_words, measure_in_words
from shared.register import MINUTES_AN_HOUR, ORDERED_GENRE, REGION, Grid, Kind, Measure, Profile
from shared.words import ExplainWords, words_of

COVERAGE = NormalDist().inv_cdf(0.975)
"""Standard deviations to each side that hold 95 %."""
PERCENT = 100
# One value of each dimension, for the example.
_EXAMPLE = {
    "genre": "sports",
    "shift": "live",
    "daypart": "19-23",
    "detail": "sports-football",
    ORDERED_GENRE: "film-comedy",
    REGION: "north",
}
_EXAMPLE_SIXTEENTHS = 3


class Explained(Struct, frozen=True):
    """A measure as a profile takes it, in figures for scripts and in sentences for people.

    Attributes:
        measure: Its name.
        profile: The profile that takes it.
        kind: What a box sends: one-minute, timed or untimed.
        quota: Facts a week.
        cells: Cells of its grid, for one region where it goes by region.
        rho_micro: zCDP of one week, in millionths.
        sigma: Scale of the noise on a counter, for a sensitivity of the root of the quota.
        recognised_week: The chance of recognising one household's week from it at 5 % false alarms.
        recognised_year: Likewise its 53 weeks.
        sentences: The same for people; the first is its headline.
    """

    measure: str
    profile: str
    kind: str
    quota: int
    cells: int
    rho_micro: int
    sigma: float
    recognised_week: float
    recognised_year: float
    sentences: list[str]


class ExplainedProfile(Struct, frozen=True):
    """A profile with all its measures."""

    profile: str
    facts: int
    rho_micro: int
    sentences: list[str]
    measures: list[Explained]


def explain_measure(measure: Measure, taken: Profile, language: str) -> Explained:
    """A measure as `taken` takes it, in a language."""
    cells = math.prod(len(values) for values in _grid(measure).dimensions)
    week, year = _recognised(measure.rho_micro)
    return Explained(
        measure=measure.name,
        profile=taken.name,
        kind=measure.kind.value,
        quota=measure.quota,
        cells=cells,
        rho_micro=measure.rho_micro,
        sigma=measure.sigma,
        recognised_week=week,
        recognised_year=year,
        sentences=_sentences(measure, taken, cells, language),
    )


def explain_profile(taken: Profile, language: str) -> ExplainedProfile:
    """A profile and every measure that it takes, in a language."""
    words = words_of(language)
    facts = sum(measure.quota for measure in taken.measures)
    sentences = [
        words.explain.profile.format(
            profile=taken.name, least=words.figure(taken.min_accounts), most=words.figure(taken.max_accounts)
        ),
        words.explain.facts.format(facts=facts),
        words.explain.spans.format(
            rho=_rho(taken.rho_micro, language), **_chances(taken.rho_micro, language)
        ),
    ]
    measures = [explain_measure(measure, taken, language) for measure in taken.measures]
    return ExplainedProfile(taken.name, facts, taken.rho_micro, sentences, measures)


def example(measure: Measure, language: str) -> str:
    """One fact that a box may send for it, in words."""
    grid = _grid(measure)
    cell = grid.cell(*(_EXAMPLE[dimension] for dimension in measure.grid))
    value = _EXAMPLE_SIXTEENTHS if measure.kind is Kind.TIMED else 1
    return cell_in_words(measure, grid, cell, value, language)


def _sentences(measure: Measure, taken: Profile, cells: int, language: str) -> list[str]:
    words = words_of(language)
    said = words.explain
    by_region = said.cells_by_region if REGION in measure.grid else said.cells
    share = words.figure(PERCENT * measure.rho_micro / taken.rho_micro)
    return [
        measure_in_words(measure, language) + ".",
        _how(measure, said).format(hours=measure.volume_minutes // MINUTES_AN_HOUR),
        said.quota.format(quota=measure.quota),
        by_region.format(cells=cells),
        said.example.format(example=example(measure, language)),
        said.purpose.format(purpose=words.purposes[measure.purpose]),
        said.owner.format(owner=words.owners[measure.owner], review=measure.review),
        _noise(measure, language),
        said.cost.format(rho=_rho(measure.rho_micro, language), part=share),
        said.reader.format(**_chances(measure.rho_micro, language)),
    ]


def _how(measure: Measure, said: ExplainWords) -> str:
    match measure.kind:
        case Kind.ONE_MINUTE:
            return said.order if ORDERED_GENRE in measure.grid else said.minute
        case Kind.TIMED:
            return said.timed
        case Kind.UNTIMED:
            return said.untimed


def _noise(measure: Measure, language: str) -> str:
    words = words_of(language)
    half = COVERAGE * measure.sigma
    if measure.kind is not Kind.TIMED:
        return words.explain.noise_boxes.format(half=words.figure(half))
    # A timed cell's minutes are V/16 a unit of 16 sigma; its reach is the sum of two counters over 16.
    hours = half * measure.volume_minutes / MINUTES_AN_HOUR
    return words.explain.noise_hours.format(half=words.figure(hours), boxes=words.figure(half * math.sqrt(2)))


def _grid(measure: Measure) -> Grid:
    return Grid(measure, (_EXAMPLE[REGION],))


def _recognised(rho_micro: int) -> tuple[float, float]:
    return recognition(rho_micro / MICRO), recognition(WINDOW_WEEKS * rho_micro / MICRO)


def _chances(rho_micro: int, language: str) -> dict[str, str]:
    week, year = _recognised(rho_micro)
    figure = words_of(language).figure
    return {"week": figure(PERCENT * week, 1), "year": figure(PERCENT * year)}


def _rho(rho_micro: int, language: str) -> str:
    digits = 5
    text = words_of(language).figure(rho_micro / MICRO, digits)
    return text.rstrip("0")
