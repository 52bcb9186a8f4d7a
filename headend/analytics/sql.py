"""The analytics store in SQL, over either engine."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from headend.analytics.store import (
    Accepted,
    ConflictError,
    Contribution,
    Counted,
    Counter,
    Disclosure,
    Installation,
    ReleaseDesk,
    Spending,
    StoredDirectory,
    StoredRelease,
    StoredTotals,
    WeekNotDoneError,
    WeekState,
    WrongInstallationError,
)
from headend.kit.engine import Connection, Engine, Shelf
from headend.kit.runs import Run
from shared.weeks import Week

T = TypeVar("T")
AT_A_TIME = 20_000
"""Nonces that are forgotten in one transaction: some milliseconds, in which fragments wait."""
_SPENT = "SELECT week, measure, rho_micro FROM budget"


class SqlDesk:
    """Questions to one connection, and what the release writes; see `ReleaseDesk`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def state(self, week: Week) -> WeekState | None:
        """How far the week has come."""
        row = self._one("SELECT state FROM weeks WHERE week = ?", week)
        return WeekState(row["state"]) if row else None

    def directory(self, week: Week) -> StoredDirectory | None:
        """The week's directory."""
        row = self._one("SELECT * FROM directories WHERE week = ?", week)
        return _directory(row) if row else None

    def totals(self, week: Week) -> StoredTotals | None:
        """The week's box totals."""
        row = self._one("SELECT payload, sha256 FROM totals WHERE week = ?", week)
        return StoredTotals(row["payload"], row["sha256"]) if row else None

    def counters(self, week: Week) -> list[Counter]:
        """The exact sums of the week."""
        rows = self._connection.execute(
            "SELECT * FROM counters WHERE week = ? ORDER BY measure, cell", (str(week),)
        )
        return [Counter(row["measure"], row["cell"], row["amount"], row["rest"]) for row in rows]

    def accepted(self, week: Week) -> dict[str, int]:
        """Tokens accepted in the week, by measure."""
        rows = self._connection.execute("SELECT measure, n FROM accepted WHERE week = ?", (str(week),))
        return {row["measure"]: row["n"] for row in rows}

    def installation(self) -> Installation:
        """The stamp; see `AnalyticsStore.installation`."""
        row = self._connection.execute("SELECT * FROM installation").fetchone()
        if row is None:
            raise WrongInstallationError("the database belongs to no installation yet")
        return Installation(
            bool(row["simulated"]),
            row["profile"],
            row["zone"],
            Week.parse(row["first_week"]),
            row["cap_micro"],
        )

    def spendings(self) -> list[Spending]:
        """The whole budget ledger."""
        return _spendings(self._connection.execute(f"{_SPENT} ORDER BY week, measure"))

    def spendings_between(self, first: Week, last: Week) -> list[Spending]:
        """The lines of some weeks; the names of weeks are in the order of the weeks."""
        sql = f"{_SPENT} WHERE week >= ? AND week <= ? ORDER BY week, measure"
        return _spendings(self._connection.execute(sql, (str(first), str(last))))

    def spent_micro(self) -> int:
        """What the whole budget ledger comes to."""
        row = self._connection.execute("SELECT coalesce(sum(rho_micro), 0) FROM budget").fetchone()
        return int(row[0])

    def release(self, week: Week) -> StoredRelease | None:
        """The week's release."""
        row = self._one("SELECT * FROM releases WHERE week = ?", week)
        return _release(row) if row else None

    def spend(self, spending: Spending) -> None:
        """Enter a line into the budget ledger."""
        values = (str(spending.week), spending.measure, spending.rho_micro)
        self._connection.execute("INSERT INTO budget VALUES (?, ?, ?)", values)

    def enter_release(self, release: StoredRelease) -> None:
        """Store a release for ever."""
        values = (str(release.week), release.manifest, release.table)
        self._connection.execute("INSERT INTO releases VALUES (?, ?, ?)", values)

    def finish(self, week: Week, state: WeekState, now_ms: int) -> None:
        """Give the week its final state and record the job `release` as done."""
        self._connection.execute(
            "INSERT INTO weeks VALUES (?, ?) ON CONFLICT (week) DO UPDATE SET state = excluded.state",
            (str(week), state.value),
        )
        self.record_done("release", week, now_ms)

    def record_done(self, job: str, week: Week, now_ms: int) -> None:
        """Record a job's slot as done; the first time counts."""
        values = (job, str(week), now_ms)
        self._connection.execute("INSERT INTO job_runs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values)

    def drop_counters(self, week: Week) -> None:
        """Forget the week's exact sums."""
        self._connection.execute("DELETE FROM counters WHERE week = ?", (str(week),))

    def drop_nonces(self, week: Week, limit: int) -> bool:
        """Forget which tokens of the week were spent, `limit` of them; whether more are left."""
        place = "SELECT nonce FROM spent WHERE week = ? ORDER BY nonce LIMIT 1 OFFSET ?"
        beyond = self._connection.execute(place, (str(week), limit)).fetchone()
        if beyond is None:
            self._connection.execute("DELETE FROM spent WHERE week = ?", (str(week),))
            return False
        self._connection.execute("DELETE FROM spent WHERE week = ? AND nonce < ?", (str(week), beyond[0]))
        return True

    def _one(self, question: str, week: Week) -> Any:  # noqa: ANN401 (a row of the driver, or None)
        return self._connection.execute(question, (str(week),)).fetchone()


class SqlStore:
    """The analytics store over one engine; see `AnalyticsStore`."""

    def __init__(self, storage: Engine) -> None:
        self.storage = storage

    def stamp(self, installation: Installation) -> None:
        """Mark a new database, or check an old one's mark."""
        self.storage.write(lambda connection: _stamp(connection, installation))

    def installation(self) -> Installation:
        """The stamp."""
        return self._desk().installation()

    def accept_directory(self, directory: StoredDirectory) -> None:
        """Store a directory and open its week."""
        self.storage.write(lambda connection: _accept_directory(connection, directory))

    def directory(self, week: Week) -> StoredDirectory | None:
        """The week's directory."""
        return self._desk().directory(week)

    def open_directories(self) -> list[StoredDirectory]:
        """Directories of weeks that are not yet final, oldest first."""
        rows = self.storage.read().execute(
            "SELECT directories.* FROM directories JOIN weeks USING (week) WHERE state = ? ORDER BY week",
            (WeekState.OPEN.value,),
        )
        return [_directory(row) for row in rows]

    def accept_totals(self, week: Week, totals: StoredTotals) -> None:
        """Store a week's box totals."""
        self.storage.write(lambda connection: _accept_totals(connection, week, totals))

    def totals(self, week: Week) -> StoredTotals | None:
        """The week's box totals."""
        return self._desk().totals(week)

    def count(self, contributions: list[Contribution]) -> list[Counted]:
        """Spend the tokens and count the fragments."""
        if not contributions:
            return []
        return self.storage.write_beside(lambda connection: self._count(connection, contributions))

    def _count(self, connection: Connection, contributions: list[Contribution]) -> list[Counted]:
        return count(connection, contributions)

    def accepted(self) -> list[Accepted]:
        """Tokens accepted, for all weeks."""
        rows = self.storage.read().execute("SELECT * FROM accepted ORDER BY week, measure")
        return [Accepted(Week.parse(row["week"]), row["measure"], row["n"]) for row in rows]

    def add_tally(self, counts: dict[str, int]) -> None:
        """Add to the global counts of refusals."""
        self.storage.write(lambda connection: _add_tally(connection, counts.items()))

    def tally(self) -> dict[str, int]:
        """The global counts of refusals, by name."""
        rows = self.storage.read().execute("SELECT name, n FROM tally ORDER BY name")
        return {row["name"]: row["n"] for row in rows}

    def state(self, week: Week) -> WeekState | None:
        """How far a week has come."""
        return self._desk().state(week)

    def states(self) -> dict[Week, WeekState]:
        """How far each known week has come."""
        rows = self.storage.read().execute("SELECT week, state FROM weeks ORDER BY week")
        return {Week.parse(row["week"]): WeekState(row["state"]) for row in rows}

    def release(self, week: Week) -> StoredRelease | None:
        """The week's release."""
        return self._desk().release(week)

    def releases(self) -> list[StoredRelease]:
        """All releases, oldest first."""
        rows = self.storage.read().execute("SELECT * FROM releases ORDER BY week")
        return [_release(row) for row in rows]

    def release_weeks(self) -> list[Week]:
        """The weeks that have a release."""
        rows = self.storage.read().execute("SELECT week FROM releases ORDER BY week")
        return [Week.parse(row["week"]) for row in rows]

    def directories(self, before: Week | None, limit: int) -> list[StoredDirectory]:
        """The newest directories, newest first."""
        rows = self.storage.read().execute(
            "SELECT * FROM directories WHERE ? = '' OR week < ? ORDER BY week DESC LIMIT ?",
            (str(before or ""), str(before or ""), limit),
        )
        return [_directory(row) for row in rows]

    def spendings(self) -> list[Spending]:
        """The whole budget ledger."""
        return self._desk().spendings()

    def add_disclosure(self, disclosure: Disclosure) -> None:
        """Note for ever what is about to be handed out."""
        self.storage.write(lambda connection: _add_disclosure(connection, disclosure))

    def disclosures(self) -> list[Disclosure]:
        """What the command line handed out, oldest first."""
        rows = self.storage.read().execute(
            "SELECT at_ms, kind, recipient, purpose, sha256, what FROM disclosures ORDER BY line"
        )
        return [Disclosure(*row) for row in rows]

    def last_done(self, job: str) -> Week | None:
        """The last week that a job is recorded as done for."""
        row = self.storage.read().execute("SELECT max(slot) FROM job_runs WHERE job = ?", (job,)).fetchone()
        return Week.parse(row[0]) if row[0] else None

    def last_run(self, job: str) -> Run | None:
        """The newest slot that a job has done, and when."""
        sql = "SELECT slot, done_ms FROM job_runs WHERE job = ? ORDER BY slot DESC LIMIT 1"
        row = self.storage.read().execute(sql, (job,)).fetchone()
        return Run(*row) if row else None

    def at_release_desk(self, work: Callable[[ReleaseDesk], T]) -> T:
        """Do `work` in one transaction."""
        return self.storage.write(lambda connection: work(self._desk(connection)))

    def forget(self, week: Week, now_ms: int) -> None:
        """Delete a final week's counters and nonces, and what the engine still keeps of them."""
        while self.storage.write(lambda connection: _forget(self._desk(connection), week, now_ms)):
            continue
        self.storage.sweep()

    def shelf(self, folder: Path) -> Shelf:
        """Where analytics' own keys stand."""
        return self.storage.shelf(folder)

    def turn(self) -> AbstractContextManager[bool]:
        """Whether this process may run jobs now."""
        return self.storage.turn()

    def measured(self) -> list[tuple[str, float]]:
        """What the database tells of itself."""
        return self.storage.measured()

    def close(self) -> None:
        """Let go of the database."""
        self.storage.close()

    def _desk(self, connection: Connection | None = None) -> SqlDesk:
        return SqlDesk(connection or self.storage.read())


def _spendings(rows: Iterable[Any]) -> list[Spending]:
    weeks: dict[str, Week] = {}
    found = []
    for name, measure, rho_micro in rows:
        week = weeks.get(name) or weeks.setdefault(name, Week.parse(name))
        found.append(Spending(week, measure, rho_micro))
    return found


def _directory(row: Any) -> StoredDirectory:  # noqa: ANN401 (a row of the driver)
    return StoredDirectory(Week.parse(row["week"]), row["envelope"], row["payload"], row["sha256"])


def _release(row: Any) -> StoredRelease:  # noqa: ANN401 (a row of the driver)
    return StoredRelease(Week.parse(row["week"]), row["manifest"], row["table"])


def _stamp(connection: Connection, stamp: Installation) -> None:
    if connection.execute("SELECT 1 FROM installation").fetchone() is None:
        values = (1, int(stamp.simulated), stamp.profile, stamp.zone, str(stamp.first_week), stamp.cap_micro)
        connection.execute("INSERT INTO installation VALUES (?, ?, ?, ?, ?, ?)", values)
    elif (found := SqlDesk(connection).installation()) != stamp:
        raise WrongInstallationError(f"the database is stamped {found}, asked for was {stamp}")


def _accept_directory(connection: Connection, directory: StoredDirectory) -> None:
    desk = SqlDesk(connection)
    known = desk.directory(directory.week)
    if known is not None and known.envelope == directory.envelope:
        return
    if known is not None or desk.state(directory.week) is not None:
        raise ConflictError(f"week {directory.week} has its directory, or is done without one")
    week = str(directory.week)
    values = (week, directory.envelope, directory.payload, directory.sha256)
    connection.execute("INSERT INTO directories VALUES (?, ?, ?, ?)", values)
    connection.execute("INSERT INTO weeks VALUES (?, ?)", (week, WeekState.OPEN.value))


def _accept_totals(connection: Connection, week: Week, totals: StoredTotals) -> None:
    known = SqlDesk(connection).totals(week)
    if known is None:
        values = (str(week), totals.payload, totals.sha256)
        connection.execute("INSERT INTO totals VALUES (?, ?, ?)", values)
    elif known != totals:
        raise ConflictError(f"week {week} has its totals, and they say otherwise")


def count(connection: Connection, group: list[Contribution]) -> list[Counted]:
    """Step 5 for each, in order; then step 6 for all that were first, added up: a cell is one write."""
    # The state is asked in the same transaction: a clock that is set back opens no week again.
    desk = SqlDesk(connection)
    names = {week: str(week) for week in {one.week for one in group} if desk.state(week) is WeekState.OPEN}
    verdicts = [
        _spend(connection, names[one.week], one.nonce) if one.week in names else Counted.TOO_LATE
        for one in group
    ]
    first = [
        (names[one.week], one)
        for one, verdict in zip(group, verdicts, strict=True)
        if verdict is Counted.FIRST
    ]
    accepted = Tally((week, one.measure) for week, one in first)
    connection.executemany(
        "INSERT INTO accepted VALUES (?, ?, ?)"
        " ON CONFLICT (week, measure) DO UPDATE SET n = accepted.n + excluded.n",
        [(*key, n) for key, n in accepted.items()],
    )
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?, ?, ?) ON CONFLICT (week, measure, cell) DO UPDATE"
        " SET amount = counters.amount + excluded.amount, rest = counters.rest + excluded.rest",
        added_up(first),
    )
    return verdicts


def _spend(connection: Connection, week: str, nonce: bytes) -> Counted:
    spent = connection.execute("INSERT INTO spent VALUES (?, ?) ON CONFLICT DO NOTHING", (week, nonce))
    return Counted.FIRST if spent.rowcount else Counted.DUPLICATE


def added_up(group: list[tuple[str, Contribution]]) -> list[tuple[str, str, int, int, int]]:
    """One row a cell, in the order of the key. `none` is in no row: accepted minus none would be exact."""
    sums: dict[tuple[str, str, int], tuple[int, int]] = {}
    for week, one in group:
        if one.cell:
            key = (week, one.measure, one.cell)
            amount, rest = sums.get(key, (0, 0))
            sums[key] = (amount + one.amount, rest + one.rest)
    return [(*key, *sums[key]) for key in sorted(sums)]


def _add_tally(connection: Connection, counts: Iterable[tuple[str, int]]) -> None:
    connection.executemany(
        "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = tally.n + excluded.n",
        sorted(counts),
    )


def _add_disclosure(connection: Connection, one: Disclosure) -> None:
    values = (one.at_ms, one.kind, one.recipient, one.purpose, one.sha256, one.what)
    connection.execute(
        "INSERT INTO disclosures (at_ms, kind, recipient, purpose, sha256, what) VALUES (?, ?, ?, ?, ?, ?)",
        values,
    )


def _forget(desk: SqlDesk, week: Week, now_ms: int) -> bool:
    """Forget some of a week, so that fragments need not wait for all of it; whether more is left."""
    if desk.state(week) in {None, WeekState.OPEN}:
        raise WeekNotDoneError(f"week {week} is not done yet")
    desk.drop_counters(week)
    if desk.drop_nonces(week, AT_A_TIME):
        return True
    desk.record_done("prune", week, now_ms)
    return False
