"""A week's release: drawn once, in one transaction, or not at all.

The only room that reads exact counters. Noise goes onto every cell of every measure, empty ones too; then
the budget is debited and the table stored under a signed manifest. A release never changes and never gets
fresh noise: asking again gives the same bytes.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.analytics.archive import Found, ReleaseArchive
from headend.analytics.budget import BudgetExceededError, reserve, weeks_around
from headend.analytics.noise import add_noise
from headend.analytics.published import (
    BadReleaseError,
    Manifest,
    NoisyMeasure,
    ReleaseTable,
    described,
    read_manifest,
    sha256,
    sign_manifest,
    verify_release,
)
from headend.analytics.store import (
    AnalyticsStore,
    Counter,
    ReleaseDesk,
    Spending,
    StoredDirectory,
    StoredRelease,
    StoredTotals,
    WeekState,
)
from shared.clock import to_ms
from shared.directory import Directory, read_directory
from shared.errors import StbError
from shared.register import Grid, Kind, Measure, Profile, profile, register_hash, register_version
from shared.totals import BoxTotals, read_totals
from shared.weeks import Week


class WeekNotClosedError(StbError):
    """Fragments of the week may still arrive; nothing was drawn."""


class TotalsMissingError(StbError):
    """Billing's box totals for the week have not come; nothing was drawn, and it may be asked again."""


@dataclass(frozen=True)
class Outcome:
    """What a week has come to; `release` is there if it was released, now or before."""

    week: Week
    state: WeekState
    release: StoredRelease | None = None


@dataclass(frozen=True)
class Basis:
    """Everything that a release is drawn from, read in its own transaction."""

    week: Week
    now_ms: int
    stored_directory: StoredDirectory
    stored_totals: StoredTotals
    counters: list[Counter]
    accepted: dict[str, int]
    spendings: list[Spending]
    """Of the weeks that share a window of the budget with this one."""
    spent_micro: int
    """Of all weeks, before this one."""
    cap_micro: int
    simulated: bool

    @property
    def directory(self) -> Directory:
        """What the boxes were told."""
        return read_directory(self.stored_directory.payload, self.week)

    @property
    def totals(self) -> BoxTotals:
        """What billing told."""
        return read_totals(self.stored_totals.payload)[1]


def run_release(
    store: AnalyticsStore, week: Week, now: datetime, key: Ed25519PrivateKey, archive: ReleaseArchive
) -> Outcome:
    """Bring a closed week to its end: released, or a reason why it never will be.

    In one transaction that excludes every other process: (1) the week is not at its end yet, (2) it is
    closed, (3) it was never drawn before a restore, (4) its directory and totals are there, (5) enough
    accounts took part, (6) the budget covers it, (7) noise is drawn, (8) release and spending are stored and
    the week is recorded as done. Safe to call again; whoever comes second gets the first one's release.

    Raises:
        WeekNotClosedError: step 2 fails.
        TotalsMissingError: the totals are not there yet.
        NoiseError: the noise would not cost what is declared.
    """
    outcome = store.at_release_desk(lambda desk: _finish(desk, week, now, key, archive))
    if outcome.release is not None:
        archive.keep(outcome.release)  # after the commit, and again if that was cut short
    return outcome


def _finish(
    desk: ReleaseDesk, week: Week, now: datetime, key: Ed25519PrivateKey, archive: ReleaseArchive
) -> Outcome:
    state = desk.state(week)
    if state not in {None, WeekState.OPEN}:  # 1
        return Outcome(week, state or WeekState.OPEN, desk.release(week))
    if now < week.closes(ZoneInfo(desk.installation().zone)):  # 2
        raise WeekNotClosedError(f"week {week} is not closed yet")
    found = archive.find(week)  # 3
    outcome = _restore(desk, week, found, key) if found else _draw(desk, week, now, key)  # 4 to 7
    desk.finish(week, outcome.state, to_ms(now))  # 8
    return outcome


def _draw(desk: ReleaseDesk, week: Week, now: datetime, key: Ed25519PrivateKey) -> Outcome:
    directory = desk.directory(week)  # 4
    if directory is None:
        return Outcome(week, WeekState.NO_DIRECTORY)
    totals = desk.totals(week)
    if totals is None:
        raise TotalsMissingError(f"the box totals of {week} have not come")
    basis = _basis(desk, now, directory, totals)
    taken = basis.directory.taken()
    if basis.totals.accounts_asked < taken.min_accounts:  # 5
        desk.drop_counters(week)
        return Outcome(week, WeekState.BELOW_FLOOR)
    try:
        spendings = reserve(basis.spendings, week, taken, basis.cap_micro)  # 6
    except BudgetExceededError:
        # The weeks around it cannot be unspent, so asking later would be refused as well.
        desk.drop_counters(week)
        return Outcome(week, WeekState.OVER_BUDGET)
    release = _release(basis, taken, key)  # 7
    _enter(desk, release, spendings)
    return Outcome(week, WeekState.RELEASED, release)


def _basis(desk: ReleaseDesk, now: datetime, directory: StoredDirectory, totals: StoredTotals) -> Basis:
    week, stamp = directory.week, desk.installation()
    return Basis(
        week=week,
        now_ms=to_ms(now),
        stored_directory=directory,
        stored_totals=totals,
        counters=desk.counters(week),
        accepted=desk.accepted(week),
        spendings=desk.spendings_between(*weeks_around(week)),
        spent_micro=desk.spent_micro(),
        cap_micro=stamp.cap_micro,
        simulated=stamp.simulated,
    )


def _enter(desk: ReleaseDesk, release: StoredRelease, spendings: list[Spending]) -> None:
    for spending in spendings:
        desk.spend(spending)
    desk.enter_release(release)


def _restore(desk: ReleaseDesk, week: Week, found: Found, key: Ed25519PrivateKey) -> Outcome:
    """Take back a release that the archive has and the database lost; what it cost is spent in any case."""
    try:
        manifest, _ = verify_release(found.manifest, found.table or b"", key.public_key())
        if manifest.week != str(week):
            raise BadReleaseError("the file bears another week's name")  # noqa: TRY301 (one way out for all)
    except BadReleaseError:
        for spending in _cost(desk, week, found, key):
            desk.spend(spending)
        desk.drop_counters(week)
        return Outcome(week, WeekState.DRAWN_BEFORE)
    release = StoredRelease(week, found.manifest, found.table or b"")
    _enter(desk, release, [Spending(week, one.name, one.rho_micro) for one in manifest.measures])
    return Outcome(week, WeekState.RELEASED, release)


def _cost(desk: ReleaseDesk, week: Week, found: Found, key: Ed25519PrivateKey) -> list[Spending]:
    """What a week drawn before has cost: as its manifest says, else as the installation's profile does."""
    try:
        said = read_manifest(found.manifest, key.public_key())
    except BadReleaseError:
        measures = profile(desk.installation().profile).measures
        return [Spending(week, measure.name, measure.rho_micro) for measure in measures]
    return [Spending(week, measure.name, measure.rho_micro) for measure in said.measures]


def _release(basis: Basis, taken: Profile, key: Ed25519PrivateKey) -> StoredRelease:
    table = msgspec.json.encode(_table(basis, taken))
    manifest = sign_manifest(_manifest(basis, taken, sha256(table)), key)
    return StoredRelease(basis.week, manifest, table)


def _table(basis: Basis, taken: Profile) -> ReleaseTable:
    totals, directory = basis.totals, basis.directory
    return ReleaseTable(
        week=str(basis.week),
        profile=taken.name,
        register=register_hash(),
        simulated=basis.simulated,
        regions=directory.regions,
        boxes=totals.boxes,
        accounts_asked=totals.accounts_asked,
        issued={measure.name: totals.issued.get(measure.name, 0) for measure in taken.measures},
        accepted={measure.name: basis.accepted.get(measure.name, 0) for measure in taken.measures},
        measures=[
            noisy_measure(measure, directory.grid(measure), basis.counters) for measure in taken.measures
        ],
    )


def noisy_measure(measure: Measure, grid: Grid, counters: list[Counter]) -> NoisyMeasure:
    """One vector for the whole measure: every cell, and of a timed measure both counters of every cell.

    Raises:
        NoiseError: the noise would not cost what is declared.
    """
    amounts, rests = [0] * grid.size, [0] * grid.size
    for counter in counters:
        if counter.measure == measure.name:
            amounts[counter.cell - 1] = counter.amount
            rests[counter.cell - 1] = counter.rest
    noisy = add_noise(measure, amounts + rests if measure.kind is Kind.TIMED else amounts)
    return NoisyMeasure(
        name=measure.name,
        kind=measure.kind.value,
        grid=list(measure.grid),
        quota=measure.quota,
        volume_minutes=measure.volume_minutes,
        rho_micro=measure.rho_micro,
        sigma=measure.sigma,
        noise_scale=measure.noise_scale,
        cells=[list(grid.values(cell)) for cell in range(1, grid.size + 1)],
        amounts=noisy[: grid.size],
        rests=noisy[grid.size :],
    )


def _manifest(basis: Basis, taken: Profile, table_sha256: str) -> Manifest:
    return Manifest(
        week=str(basis.week),
        profile=taken.name,
        register_version=register_version(),
        register=register_hash(),
        simulated=basis.simulated,
        drawn_ms=basis.now_ms,
        measures=[
            described(one, basis.totals.issued.get(one.name, 0), basis.accepted.get(one.name, 0))
            for one in taken.measures
        ],
        rho_micro=taken.rho_micro,
        budget_spent_micro=basis.spent_micro + taken.rho_micro,
        budget_cap_micro=basis.cap_micro,
        directory_sha256=basis.stored_directory.sha256,
        totals_sha256=basis.stored_totals.sha256,
        table_sha256=table_sha256,
    )
