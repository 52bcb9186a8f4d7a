"""The town's households, each drawn from (seed, number) alone, so that worker processes need no common list.

The parameters: 1.7 sets a home and 138 to 170 minutes a person and day (SKO, CIM), 4.2 plays
on demand a home and month over 45 % of homes (UPC, Telenet), 62 % consent, uneven over regions (assumed).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from types import MappingProxyType

from shared.errors import StbError
from shared.genres import GENRES
from shared.named import AccountId

DAY_MS = 86_400_000
DAYS_A_MONTH = 365.25 / 12


class NoSuchHouseholdError(StbError):
    """A household number outside the town, or a town without households."""


@dataclass(frozen=True)
class _Region:
    """A region: its people (thousands, about 2020), its part of consenting boxes, its areas' prefixes."""

    people: int
    consent: float
    prefixes: str


# Provinces merged into five; where a prefix lies in two provinces, the one with more addresses counts.
_REGIONS: Mapping[str, _Region] = MappingProxyType(
    {
        "north": _Region(1_730, 0.70, "78 79 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99"),
        "east": _Region(
            3_250, 0.66, "40 41 65 66 67 68 69 70 71 72 73 74 75 76 77 80 81"
        ),  # Gelderland, Overijssel
        "north-west": _Region(
            4_650, 0.56, "10 11 12 13 14 15 16 17 18 19 20 21 34 35 36 37 38 39 82 83"
        ),  # North Holland, Utrecht, Flevoland
        "south-west": _Region(
            4_100, 0.60, "22 23 24 25 26 27 28 29 30 31 32 33 42 43 44 45"
        ),  # South Holland, Zeeland
        "south": _Region(
            3_690, 0.65, "46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64"
        ),  # North Brabant, Limburg
    }
)
REGIONS = tuple(_REGIONS)
AREAS: Mapping[str, str] = MappingProxyType(
    {prefix: name for name, region in _REGIONS.items() for prefix in region.prefixes.split()}
)
"""Two-digit prefixes of Dutch postal areas and their region."""

_ZONES: Mapping[str, str] = MappingProxyType({"BE": "Europe/Brussels"})
"""The zone of a country's accounts, if it is not the town's."""

_REGION_WEIGHTS = list(accumulate(region.people for region in _REGIONS.values()))
_BOXES_A_HOME = ((1, 2, 3, 4), (0.50, 0.82, 0.98, 1.0))  # mean 1.7
_PERSONS = ((1, 2, 3, 4, 5), (0.38, 0.71, 0.83, 0.95, 1.0))
_MEAN_PERSONS = 2.13
_ALIKE = 0.9  # boxes that were asked together with the home's first
_ORDERING_HOMES = 0.45
_BELGIAN, _FRENCH, _ENGLISH = 0.1, 0.6, 0.05  # of homes; of Belgian ones; of the others
_OLD_BOXES = 0.05  # whose agent still speaks the version of the protocol before
_FREE_PLAYS, _PAID_FILMS, _GAMES = 3.5, 0.6, 0.1  # a home and month
_SHIFT_LEAN = 0.25  # of choices; comes out near 21 % of minutes
_SKEW_MS = 90_000
_MAIN_ACTIVE, _OTHER_ACTIVE = 0.85, 0.534  # together 72 % of boxes on a day
_OUTAGE_PERIOD_DAYS = 28
_OUTAGE_DAYS = (2.0, 4.0)
# An outage of three days delays what happens in its first two by more than a day; so that 3 % of all is late:
_OUTAGE_CHANCE = 0.03 * _OUTAGE_PERIOD_DAYS / (sum(_OUTAGE_DAYS) / 2 - 1)


@dataclass(frozen=True)
class Box:
    """One box of a home.

    `active` is the probability of viewing on a day, `amount` scales the minutes, `skew_ms` is what its clock
    is ahead of true time. `old` boxes speak the version of the protocol before this one.
    """

    key: str
    home_key: str
    index: int
    serial: str
    consent: bool
    active: float
    amount: float
    skew_ms: int
    old: bool


@dataclass(frozen=True)
class Orders:
    """Mean orders of a home and day; whoever orders nothing has zeros."""

    free_films: float
    paid_films: float
    games: float


@dataclass(frozen=True)
class Household:
    """A home: one account, its boxes, its habits.

    `taste` multiplies the town's, in the order of `shared.genres.GENRES`; `shift_lean` is the part of its
    viewing that is recorded or caught up.
    """

    number: int
    account: AccountId
    region: str
    postal_area: str
    zone: str
    country: str
    language: str
    persons: int
    boxes: tuple[Box, ...]
    orders: Orders
    taste: tuple[float, ...]
    shift_lean: float


class Town:
    """So many households of one seed.

    Raises:
        NoSuchHouseholdError: There is not even one household.
    """

    def __init__(self, seed: int, households: int, zone: str = "Europe/Amsterdam") -> None:
        if households < 1:
            raise NoSuchHouseholdError("a town has at least one household")
        self.seed = seed
        self.size = households
        self.zone = zone

    def household(self, number: int) -> Household:
        """The household of that number, from 0 on.

        Raises:
            NoSuchHouseholdError: The town has no such number.
        """
        if not 0 <= number < self.size:
            raise NoSuchHouseholdError(f"households are numbered 0 to {self.size - 1}")
        return _household(self.seed, number, self.zone)

    def part(self, worker: int, workers: int) -> Iterator[Household]:
        """The households that worker `worker` of `workers` plays: every so many-th."""
        return (self.household(number) for number in range(worker, self.size, workers))


def _household(seed: int, number: int, zone: str) -> Household:
    key = f"home/{seed}/{number}"
    random = Random(key)
    country, language = _law(Random(f"{key}/law"))
    region = random.choices(REGIONS, cum_weights=_REGION_WEIGHTS)[0]
    prefix = random.choice(_REGIONS[region].prefixes.split())
    persons = random.choices(_PERSONS[0], cum_weights=_PERSONS[1])[0]
    # Homes differ by a third or so, and a little by how many live there.
    liking = random.gammavariate(6, 1 / 6) * (0.75 + 0.25 * persons / _MEAN_PERSONS)
    return Household(
        number=number,
        account=AccountId(f"A{number:06}"),
        region=region,
        postal_area=f"{prefix}{random.randrange(100):02}",
        zone=_ZONES.get(country, zone),
        country=country,
        language=language,
        persons=persons,
        boxes=tuple(_boxes(random, key, liking, _REGIONS[region].consent)),
        orders=_orders(random),
        taste=tuple(random.lognormvariate(0, 0.6) for _ in GENRES),
        shift_lean=min(0.8, random.gammavariate(2, _SHIFT_LEAN / 2)),
    )


def _law(random: Random) -> tuple[str, str]:
    """The country whose law bills a home, and its language. Where its boxes stand does not depend on it."""
    if random.random() < _BELGIAN:
        return "BE", "fr" if random.random() < _FRENCH else "nl"
    return "NL", "en" if random.random() < _ENGLISH else "nl"


def _boxes(random: Random, key: str, liking: float, willing: float) -> Iterator[Box]:
    first = random.random() < willing
    for index in range(random.choices(_BOXES_A_HOME[0], cum_weights=_BOXES_A_HOME[1])[0]):
        asked_again = index > 0 and random.random() >= _ALIKE
        yield Box(
            key=f"{key}/{index}",
            home_key=key,
            index=index,
            serial=f"SN-{key.removeprefix('home/').replace('/', '-')}-{index}",
            consent=random.random() < willing if asked_again else first,
            active=_OTHER_ACTIVE if index else _MAIN_ACTIVE,
            amount=liking * (0.8 if index else 1.15),
            skew_ms=random.randint(-_SKEW_MS, _SKEW_MS),
            old=Random(f"{key}/{index}/version").random() < _OLD_BOXES,
        )


def _orders(random: Random) -> Orders:
    if random.random() >= _ORDERING_HOMES:
        return Orders(0, 0, 0)
    keen = random.gammavariate(2, 0.5) / (_ORDERING_HOMES * DAYS_A_MONTH)
    return Orders(_FREE_PLAYS * keen, _PAID_FILMS * keen, _GAMES * keen)


def outages(box: Box, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """When a box's home has no network between two instants: half-open, Unix milliseconds, in order.

    All boxes of a home share its line. Outages last two to four days, at most one in 28 days, so that 3 % of
    what a town sends comes more than a day late.
    """
    period_ms = _OUTAGE_PERIOD_DAYS * DAY_MS
    found = []
    for period in range(from_ms // period_ms, to_ms // period_ms + 1):
        random = Random(f"outage/{box.home_key}/{period}")
        lasts = int(random.uniform(*_OUTAGE_DAYS) * DAY_MS)
        start = period * period_ms + random.randrange(period_ms - lasts)
        if random.random() < _OUTAGE_CHANCE and start < to_ms and start + lasts > from_ms:
            found.append((start, start + lasts))
    return found
