"""The register: the measures that may be taken, the profiles they come in, and the fields that may be kept.

What the register does not declare cannot be recorded, sent or stored. Kinds of measure, quotas and the
cost in zero-concentrated differential privacy (zCDP) are explained in docs/privacy.md.
"""

import hashlib
import math
import tomllib
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from shared.dayparts import DAYPARTS
from shared.errors import StbError
from shared.genres import DETAILS, GENRES, ORDERED_GENRES, SHIFT_CLASSES
from shared.notice_version import notice_version
from shared.words import words_of

MINUTES_AN_HOUR = 60
SIXTEENTHS = 16
"""A timed cell's volume is told in sixteenths."""
REGION = "region"
ORDERED_GENRE = "ordered-genre"


class UndeclaredError(StbError):
    """A profile, measure, cell or field that the register does not declare."""


class Kind(StrEnum):
    """What a box sends for a measure; see docs/privacy.md."""

    ONE_MINUTE = "one-minute"
    TIMED = "timed"
    UNTIMED = "untimed"


@dataclass(frozen=True)
class Measure:
    """One measure as a profile takes it.

    `grid` names the dimensions in order; `quota` is B, the fragments an account sends a week;
    `volume_minutes` is V, where a timed cell is full (0 where the kind has none); `rho_micro` is the zCDP
    cost of one week in millionths. `owner` answers for it; `review` is the last day on which a week may begin
    that takes it, unless somebody looks at it before and sets a new one.
    """

    name: str
    number: int
    kind: Kind
    grid: tuple[str, ...]
    quota: int
    rho_micro: int
    volume_minutes: int
    purpose: str
    owner: str
    review: date

    def words(self, language: str) -> str:
        """What a box sends for it, in plain words; in English where there are none in that language."""
        return words_of(language).measures[self.name].format(hours=self.volume_minutes // MINUTES_AN_HOUR)

    @property
    def plain(self) -> str:
        """The same in English."""
        return self.words("en")

    @property
    def sigma(self) -> float:
        """Scale of the discrete Gaussian noise for Δ2 = √B; a timed counter's is sixteen times that."""
        return math.sqrt(self.quota * 1_000_000 / (2 * self.rho_micro))

    @property
    def noise_scale(self) -> float:
        """Scale of the noise on this measure's counters."""
        return self.sigma * (SIXTEENTHS if self.kind is Kind.TIMED else 1)


@dataclass(frozen=True)
class Profile:
    """A named set of measures with the panel sizes it suits (accounts whose box asked for tokens).

    A region of the map has at least `min_boxes_a_region` boxes; 0 where no measure goes by region.
    """

    name: str
    min_accounts: int
    max_accounts: int
    min_boxes_a_region: int
    measures: tuple[Measure, ...]

    @property
    def rho_micro(self) -> int:
        """The zCDP cost of one week over all measures, in millionths."""
        return sum(measure.rho_micro for measure in self.measures)

    def measure(self, name: str) -> Measure:
        """The measure of that name.

        Raises:
            UndeclaredError: this profile takes no such measure.
        """
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise UndeclaredError(f"profile {self.name} takes no measure {name!r}")


@cache
def _register() -> tuple[dict[str, Any], str]:
    raw = files("shared").joinpath("measures.toml").read_bytes()
    found = tomllib.loads(raw.decode())
    if found["notice"]["version"] != notice_version():
        raise UndeclaredError("the register is of another notice than shared/notice_version.py says")
    return found, hashlib.sha256(raw).hexdigest()


def register_version() -> str:
    """The register's version."""
    return str(_register()[0]["version"])


def register_hash() -> str:
    """SHA-256 of the register's file, in hex: boxes compare it with the directory's."""
    return _register()[1]


def declaration() -> dict[str, Any]:
    """The register as it stands in its file, a copy; `headend measures lint` goes over it."""
    return deepcopy(_register()[0])


def profile_names() -> tuple[str, ...]:
    """All profiles."""
    return tuple(_register()[0]["profiles"])


@cache
def profile(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UndeclaredError: there is none.
    """
    declared = _register()[0]
    if name not in declared["profiles"]:
        raise UndeclaredError(f"no profile {name!r}; there are {', '.join(profile_names())}")
    entry = declared["profiles"][name]
    by_name = {measure["name"]: measure for measure in declared["measures"]}
    return Profile(
        name,
        entry["min_accounts"],
        entry["max_accounts"],
        entry.get("min_boxes_a_region", 0),
        tuple(read_measure(by_name[taken["name"]], taken) for taken in entry["measures"]),
    )


def in_force(taken: Profile, day: date) -> Profile:
    """The profile without measures whose review date has passed on `day`, a week's first viewing day.

    Nobody looked at them in time: they are neither taken nor accepted. What a week costs is the sum of these.
    """
    return replace(taken, measures=tuple(one for one in taken.measures if day <= one.review))


def read_measure(declared: dict[str, Any], taken: dict[str, Any]) -> Measure:
    """A measure of its entry in the register and of a profile's line about it."""
    return Measure(
        name=declared["name"],
        number=declared["number"],
        kind=Kind(taken["kind"]),
        grid=tuple(declared["grid"]),
        quota=taken["quota"],
        rho_micro=taken["rho_micro"],
        volume_minutes=taken.get("volume_minutes", 0),
        purpose=declared["purpose"],
        owner=declared["owner"],
        review=declared["review"],
    )


def values_of(dimension: str, regions: tuple[str, ...]) -> tuple[str, ...]:
    """The closed list of a dimension's values; regions come from the directory.

    Raises:
        UndeclaredError: no such dimension.
    """
    match dimension:
        case "genre":
            return GENRES
        case "shift":
            return SHIFT_CLASSES
        case "daypart":
            return DAYPARTS
        case "region":
            return regions
        case "ordered-genre":
            return ORDERED_GENRES
        case "detail":
            return DETAILS
        case _:
            raise UndeclaredError(f"no dimension {dimension!r}")


class Grid:
    """The closed, public list of a measure's cells.

    A cell is a number from 1 on, in the order of the dimensions' values, the last one varying fastest;
    0 is `none`. A measure without dimensions has one cell.
    """

    def __init__(self, measure: Measure, regions: tuple[str, ...]) -> None:
        self.dimensions = tuple(values_of(dimension, regions) for dimension in measure.grid)
        self.size = math.prod(len(values) for values in self.dimensions)

    def cell(self, *values: str) -> int:
        """The number of the cell with these values, one for each dimension.

        Raises:
            UndeclaredError: a value is not in its dimension's list.
        """
        number = 0
        for value, allowed in zip(values, self.dimensions, strict=True):
            if value not in allowed:
                raise UndeclaredError(f"{value!r} is not in the grid")
            number = number * len(allowed) + allowed.index(value)
        return number + 1

    def values(self, cell: int) -> tuple[str, ...]:
        """The values of a cell.

        Raises:
            UndeclaredError: the grid has no such cell, or it is `none`.
        """
        if not 1 <= cell <= self.size:
            raise UndeclaredError(f"the grid has no cell {cell}")
        rest, found = cell - 1, []
        for allowed in reversed(self.dimensions):
            rest, index = divmod(rest, len(allowed))
            found.append(allowed[index])
        return tuple(reversed(found))
