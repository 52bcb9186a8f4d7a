"""The notice that consent is asked to, and every fact in plain words, from the register and its words.

A version of the notice tells of certain measures; their digest is pinned in the register. A new or changed
measure needs a new version, and then every household is asked again.
"""

import hashlib
import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from shared.notice_version import notice_version
from shared.register import (
    MINUTES_AN_HOUR,
    ORDERED_GENRE,
    REGION,
    Grid,
    Kind,
    Measure,
    declaration,
    profile,
    profile_names,
    values_of,
)
from shared.words import LANGUAGES, CellWords, Words, words_of

# The face for whoever shows the notice; where they come from is no matter to them.
__all__ = [
    "LANGUAGES",
    "cell_in_words",
    "measure_in_words",
    "notice",
    "notice_text",
    "notice_version",
    "pinned_digests",
    "told_digest",
    "told_measures",
]

LINE = 100
"""The notice is set in lines of at most this many characters."""
SHOWN_DIGITS = 12
_INDENT = "- "


@dataclass(frozen=True)
class NoticePart:
    """A part of the notice: its heading, its paragraphs, and what is listed after them."""

    head: str
    text: tuple[str, ...]
    listed: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """The notice in one language."""

    title: str
    parts: tuple[NoticePart, ...]
    foot: str


def told_measures() -> tuple[Measure, ...]:
    """Every measure that some profile takes, by number; one that profiles take in two ways twice."""
    found = {_told(one): one for name in profile_names() for one in profile(name).measures}
    return tuple(found[key] for key in sorted(found))


def told_digest(measures: Iterable[Measure]) -> str:
    """SHA-256, in hex, over what households are told of measures.

    Number, name, kind, grid, quota and V of each, and the closed values of the dimensions that they go by
    (regions are the installation's own). Noise and review dates are not part of it.
    """
    taken = list(measures)
    dimensions = sorted({dimension for measure in taken for dimension in measure.grid} - {REGION})
    told = {
        "measures": sorted({_told(measure) for measure in taken}),
        "values": {dimension: values_of(dimension, ()) for dimension in dimensions},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def pinned_digests() -> dict[int, str]:
    """What each version of the notice told, as the register keeps it."""
    return {int(version): digest for version, digest in declaration()["notice"]["told"].items()}


@cache
def notice(language: str) -> Notice:
    """The notice in a language; in English where there is none in it."""
    words = words_of(language)
    most = str(max(sum(one.quota for one in profile(name).measures) for name in profile_names()))
    measures = tuple(one.words(words.language) for one in told_measures())
    digest = told_digest(told_measures())[:SHOWN_DIGITS]
    return Notice(
        words.notice.title,
        tuple(
            NoticePart(
                part.head,
                tuple(text.replace("{most}", most) for text in part.text),
                measures if part.measures else (),
            )
            for part in words.notice.parts
        ),
        words.notice.foot.format(version=notice_version(), digest=digest),
    )


@cache
def notice_text(language: str = "en") -> str:
    """The same as a screen shows it, in lines of at most `LINE` characters."""
    found = notice(language)
    parts = [_set(found.title), *(_part(part) for part in found.parts), _set(found.foot)]
    return "\n\n".join(parts) + "\n"


def measure_in_words(measure: Measure, language: str) -> str:
    """What a measure is called, and what a box sends for it."""
    words = words_of(language)
    return words.cells.named.format(name=words.names[measure.name], told=measure.words(language))


def cell_in_words(measure: Measure, grid: Grid, cell: int, value: int, language: str) -> str:
    """One fact as a person would say it.

    `value` is 1, or of a timed measure the sixteenths; cell 0 is `none`.

    >>> viewing = profile("small").measure("viewing")
    >>> cell_in_words(viewing, Grid(viewing, ()), 1, 3, "en")
    'time viewed: all viewing, 3/16 of 80 hours'
    >>> cell_in_words(viewing, Grid(viewing, ()), 0, 0, "nl")
    'kijktijd: niets'

    Raises:
        UndeclaredError: the grid has no such cell.
    """
    words = words_of(language)
    name, named = words.names[measure.name], words.cells.named
    if cell == 0:
        return named.format(name=name, told=words.cells.nothing)
    values = zip(measure.grid, grid.values(cell), strict=True)
    place = ", ".join(_value(dimension, one, words) for dimension, one in values) or words.cells.everything
    hours = measure.volume_minutes // MINUTES_AN_HOUR
    told = _pattern(measure, words.cells).format(place=place, value=value, hours=hours)
    return named.format(name=name, told=told)


def _told(measure: Measure) -> tuple[int, str, str, tuple[str, ...], int, int]:
    return (
        measure.number,
        measure.name,
        measure.kind.value,
        measure.grid,
        measure.quota,
        measure.volume_minutes,
    )


def _value(dimension: str, value: str, words: Words) -> str:
    if dimension == REGION:  # regions are named by the operator
        return words.cells.no_region if value == "none" else value
    return words.values[value]


def _pattern(measure: Measure, cells: CellWords) -> str:
    match measure.kind:
        case Kind.ONE_MINUTE:
            return cells.order if ORDERED_GENRE in measure.grid else cells.minute
        case Kind.TIMED:
            return cells.timed
        case Kind.UNTIMED:
            return cells.untimed


def _part(part: NoticePart) -> str:
    listed = [_set(_INDENT + one, "  ") for one in part.listed]
    return "\n".join([part.head, *(_set(text) for text in part.text), *listed])


def _set(text: str, indent: str = "") -> str:
    return textwrap.fill(text, LINE, subsequent_indent=indent, break_on_hyphens=False)
