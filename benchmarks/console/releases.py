"""Two years of weekly releases, and how long the pages of popularity take over them.

`fill` puts invented releases into an analytics database through the store's own methods, with directories,
totals and what they cost; seeded, so that the same seed gives the same figures.

    python -m benchmarks.console.releases [--profile regional] [--weeks 104] [--turns 40]

prints for each page the server's time cold (nothing kept yet), at the median and at the 95th percentile warm,
and how many bytes it sends.
"""

import argparse
import math
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.analytics.budget import cap_micro
from headend.analytics.publication import Publication
from headend.analytics.published import (
    Manifest,
    NoisyMeasure,
    ReleaseTable,
    described,
    sha256,
    sign_manifest,
)
from headend.analytics.sqlite import SqliteStore
from headend.analytics.store import (
    AnalyticsStore,
    Installation,
    ReleaseDesk,
    Spending,
    StoredDirectory,
    StoredRelease,
    StoredTotals,
    WeekState,
)
from headend.directories import make_directory
from headend.installation import Settings
from headend.kit.language import language_of
from headend.kit.side import Page, Visit
from shared import dsse
from shared.clock import to_ms
from shared.directory import MAX_DIRECTORY
from shared.dsse import PayloadType
from shared.register import (
    SIXTEENTHS,
    Grid,
    Kind,
    Measure,
    Profile,
    in_force,
    profile,
    register_hash,
    register_version,
)
from shared.totals import BoxTotals
from shared.weeks import Week

ZONE = "Europe/Amsterdam"
REGIONS = (
    *("Groningen", "Friesland", "Drenthe", "Overijssel", "Gelderland", "Utrecht"),
    *("Noord-Holland", "Zuid-Holland", "Zeeland", "Noord-Brabant", "Limburg (NL)", "Flevoland"),
)
BOXES = {"small": (2_000, 900), "regional": (100_000, 42_000), "national": (400_000, 180_000)}
"""Accounts and, of them, those whose box asks for tokens, by profile."""
_ORDERING = 0.14
_SEASON = 0.12
_DELIVERED = 0.96


@dataclass(frozen=True)
class Town:
    """An invented town that is viewed in: its profile, its size, and its chance."""

    taken: Profile
    regions: tuple[str, ...]
    drawn: int
    asked: int
    chance: random.Random
    key: Ed25519PrivateKey


def fill(
    store: AnalyticsStore, first_week: Week, weeks: int, profile_name: str = "regional", seed: int = 1
) -> None:
    """Put so many releases into a database that has its stamp, from a week on that it does not know yet.

    The weeks' budget is debited as a release would; nothing is asked of it, so the weeks before must have
    left enough.

    Raises:
        ConflictError: it has a directory for one of these weeks.
    """
    stamp = store.installation()
    drawn, asked = BOXES[profile_name]
    chance = random.Random(f"{profile_name}/{seed}")
    key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    for number in range(weeks):
        week = first_week.plus(number)
        taken = in_force(profile(profile_name), week.monday())
        going = 1 + 0.05 * math.sin(number / 9) + chance.gauss(0, 0.004)
        town = Town(taken, REGIONS, drawn, round(asked * going), chance, key)
        _enter(store, stamp, week, town)


def _enter(store: AnalyticsStore, stamp: Installation, week: Week, town: Town) -> None:
    directory = _directory(stamp, week, town)
    store.accept_directory(directory)
    table = _table(stamp, week, town)
    totals = BoxTotals(
        week=str(week),
        boxes=table.boxes,
        accounts_drawn=town.drawn,
        accounts_asked=town.asked,
        issued=table.issued,
    )
    payload = msgspec.json.encode(totals)
    store.accept_totals(week, StoredTotals(payload, sha256(payload)))
    content = msgspec.json.encode(table)
    spent = sum(one.rho_micro for one in store.spendings()) + town.taken.rho_micro
    manifest = Manifest(
        week=str(week),
        profile=town.taken.name,
        register_version=register_version(),
        register=register_hash(),
        simulated=stamp.simulated,
        drawn_ms=to_ms(week.closes(ZoneInfo(stamp.zone))),
        measures=[
            described(one, table.issued[one.name], table.accepted[one.name]) for one in town.taken.measures
        ],
        rho_micro=town.taken.rho_micro,
        budget_spent_micro=spent,
        budget_cap_micro=stamp.cap_micro,
        directory_sha256=directory.sha256,
        totals_sha256=sha256(payload),
        table_sha256=sha256(content),
    )
    release = StoredRelease(week, sign_manifest(manifest, town.key), content)

    def work(desk: ReleaseDesk) -> None:
        for one in town.taken.measures:
            desk.spend(Spending(week, one.name, one.rho_micro))
        desk.enter_release(release)
        desk.finish(week, WeekState.RELEASED, manifest.drawn_ms)

    store.at_release_desk(work)


def _directory(stamp: Installation, week: Week, town: Town) -> StoredDirectory:
    settings = Settings(
        issuer="issuer.invalid",
        zone=stamp.zone,
        profile=town.taken.name,
        country="NL",
        first_week=str(stamp.first_week),
        simulated=True,
        clock="",
        regions=town.regions,
        areas={f"{10 + at}": region for at, region in enumerate(town.regions)},
    )
    keys = {one.name: town.chance.randbytes(342) for one in town.taken.measures}
    envelope = make_directory(settings, week, keys, town.chance.randbytes(41), town.key)
    payload = dsse.verify(envelope, PayloadType.DIRECTORY, town.key.public_key(), 2 * MAX_DIRECTORY)
    return StoredDirectory(week, envelope, payload, sha256(envelope))


def _table(stamp: Installation, week: Week, town: Town) -> ReleaseTable:
    boxes = {
        region: 10 * round(0.17 * town.drawn * _weight(region) / sum(map(_weight, town.regions)))
        for region in town.regions
    }
    issued = {one.name: town.asked * one.quota for one in town.taken.measures}
    accepted = {name: round(count * _DELIVERED) for name, count in issued.items()}
    return ReleaseTable(
        week=str(week),
        profile=town.taken.name,
        register=register_hash(),
        simulated=stamp.simulated,
        regions=list(town.regions),
        boxes=boxes,
        accounts_asked=town.asked,
        issued=issued,
        accepted=accepted,
        measures=[_noisy(one, week, town) for one in town.taken.measures],
    )


def _noisy(one: Measure, week: Week, town: Town) -> NoisyMeasure:
    grid = Grid(one, town.regions)
    cells = [grid.values(number) for number in range(1, grid.size + 1)]
    sizes = [_size(cell, week) for cell in cells]
    reporting = town.asked * _DELIVERED
    counts = [_counts(one, size / sum(sizes), reporting) for size in sizes]
    draw = town.chance.gauss
    return NoisyMeasure(
        name=one.name,
        kind=one.kind.value,
        grid=list(one.grid),
        quota=one.quota,
        volume_minutes=one.volume_minutes,
        rho_micro=one.rho_micro,
        sigma=one.sigma,
        noise_scale=one.noise_scale,
        cells=[list(cell) for cell in cells],
        amounts=[round(draw(amount, math.hypot(one.noise_scale, amount**0.5))) for amount, _ in counts],
        rests=[round(draw(rest, one.noise_scale)) for _, rest in counts] if one.kind is Kind.TIMED else [],
    )


def _counts(one: Measure, part: float, reporting: float) -> tuple[float, float]:
    """What a cell of so large a part has come to, and its rest if it is timed."""
    match one.kind:
        case Kind.ONE_MINUTE:
            return part * reporting * (_ORDERING if "ordered-genre" in one.grid else 0.93), 0.0
        case Kind.UNTIMED:
            return reporting * (1 - math.exp(-14 * part)), 0.0
        case Kind.TIMED:
            reached = reporting * (1 - math.exp(-14 * part))
            viewed = min(0.5, 0.25 + part / 4) * reached * SIXTEENTHS
            return viewed, reached * SIXTEENTHS - viewed


def _size(cell: tuple[str, ...], week: Week) -> float:
    """How much a cell is viewed: each value has its own weight and its own season."""
    turn = 2 * math.pi * week.number / 52
    return math.prod(_weight(value) * (1 + _SEASON * math.sin(turn + _spread(value) * 7)) for value in cell)


_VIEWED = {
    "film-drama": 0.29,
    "show": 0.19,
    "news": 0.14,
    "sports": 0.12,
    "children": 0.08,
    "leisure": 0.06,
    "education-science": 0.045,
    "social-political": 0.03,
    "music": 0.02,
    "arts": 0.015,
    "other": 0.01,
    "live": 0.68,
    "same-day": 0.08,
    "within-7-days": 0.1,
    "within-28-days": 0.03,
    "later": 0.03,
    "vod": 0.08,
    "02-06": 0.02,
    "06-12": 0.12,
    "12-17": 0.17,
    "17-19": 0.15,
    "19-23": 0.45,
    "23-26": 0.09,
}


def _weight(value: str) -> float:
    if value in _VIEWED:
        return _VIEWED[value]
    return 0.04 + _spread(value) ** 3


def _spread(value: str) -> float:
    """A number between 0 and 1 that belongs to a name."""
    return int(sha256(value.encode())[:8], 16) / 2**32


# How long the pages take.


def _measure(publication: Publication, turns: int) -> None:
    words = language_of("nl", ZoneInfo(ZONE))
    print(f"{'page':<24}{'cold ms':>10}{'median':>10}{'p95':>10}{'KiB':>8}")
    for part in publication.pages():
        visit = Visit(part.path, {}, "bench", "privacy-officer", words, "token")
        times, size = [], 0
        for _ in range(turns + 1):
            started = perf_counter()
            shown = part.render(visit)
            times.append(1000 * (perf_counter() - started))
            size = len((shown.inside if isinstance(shown, Page) else shown).encode())
        warm = sorted(times[1:])
        p95 = warm[int(0.95 * (len(warm) - 1))]
        median = warm[len(warm) // 2]
        print(f"{part.path:<24}{times[0]:>10.1f}{median:>10.1f}{p95:>10.1f}{size / 1024:>8.1f}")


def main() -> None:
    """Fill a database and go over the pages."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--profile", default="regional", choices=sorted(BOXES))
    asked.add_argument("--weeks", type=int, default=104)
    asked.add_argument("--turns", type=int, default=40)
    said = asked.parse_args()
    first = Week(2024, 45)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "analytics.db")
        taken = profile(said.profile)
        store.stamp(Installation(True, said.profile, ZONE, first, cap_micro(taken)))  # noqa: FBT003 (a row)
        fill(store, first, said.weeks, said.profile)
        _measure(Publication(store, lambda: first.plus(said.weeks)), said.turns)
        store.close()


if __name__ == "__main__":
    main()
