"""Analytics as the composition root serves it: the anonymous line, the jobs, the pages."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from headend.analytics import overview
from headend.analytics.archive import ReleaseArchive
from headend.analytics.budget import cap_micro
from headend.analytics.engines import open_store
from headend.analytics.gateway import Intake, OpenWeeks, make_blueprint
from headend.analytics.keys import AnalyticsKeys
from headend.analytics.line import Line
from headend.analytics.metrics import samples
from headend.analytics.publication import ROLES, Publication
from headend.analytics.published import sha256
from headend.analytics.release import Outcome, run_release
from headend.analytics.store import (
    AnalyticsStore,
    Installation,
    StoredDirectory,
    StoredTotals,
    WeekNotDoneError,
    WeekState,
)
from headend.disclosure import Cleared, DisclosureError, Kind, Recipient
from headend.kit.engine import Place, is_url
from headend.kit.http import Tally
from headend.kit.jobs import Job, Slot, week_slot
from headend.kit.language import Language
from headend.kit.side import Side, Tile, Visit
from shared import dsse
from shared.clock import Clock, to_ms
from shared.directory import MAX_DIRECTORY, BadDirectoryError, Directory, read_directory
from shared.dsse import PayloadType
from shared.register import Profile
from shared.totals import read_totals
from shared.weeks import NotAWeekError, Week

RELEASE_JOB = "release"
PRUNE_JOB = "prune"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What analytics is made of.

    Attributes:
        database: Its SQLite file, or the URL of its PostgreSQL database.
        keys: The folder of its keys, its own and nobody else's.
        clock: The installation's clock.
        zone: The zone in which weeks are cut.
        profile: The profile that the budget is laid out for.
        directory_key: The key that signs directories; boxes pin the same.
        first_week: The first week that is counted.
        simulated: Whether the installation is an invented one.
        spawn_release: Draws a week's release in a process of its own, and returns when that has ended.
        archive: Where releases are kept beside the database; `releases` next to its file if not said.
        gateway_apart: Whether fragments are taken by a process of their own, and not by this application.
    """

    database: Place
    keys: Path
    clock: Clock
    zone: ZoneInfo
    profile: Profile
    directory_key: Ed25519PublicKey
    first_week: Week
    simulated: bool
    spawn_release: Callable[[Week], None]
    archive: Path | None = None
    gateway_apart: bool = False


class AnalyticsSide:
    """Analytics with its store, as the composition root and the command line hold it.

    Raises:
        WrongInstallationError: the database belongs to another installation.
    """

    def __init__(self, setup: Setup, *, checkpoints: bool = False) -> None:
        self.setup = setup
        self.store: AnalyticsStore = open_store(setup.database, checkpoints=checkpoints)
        self.store.stamp(_stamp(setup))
        self.keys = AnalyticsKeys(self.store.shelf(setup.keys))
        self.archive = ReleaseArchive(setup.archive or _beside(setup.database))
        self.tally = Tally()
        self.weeks = OpenWeeks(self.store, self.keys)
        self.intake = Intake(self.store, self.weeks, setup.clock, self.tally)
        self.publication = Publication(self.store, self._next_week)
        self.side = Side(
            name="analytics",
            blueprints=(
                make_blueprint(self.store, None if setup.gateway_apart else self.intake, self.tally),
            ),
            jobs=[self._job(RELEASE_JOB, self._release), self._job(PRUNE_JOB, self._prune)],
            pages=self.publication.pages(),
            tiles=self._tiles,
            measured=self.store.measured,
            metrics=self._metrics,
            ready=self._ready,
            close=self.close,
            flush=self.flush,
            downloads=self.publication.downloads(),
        )

    # --- what the composition root asks for
    def key_config(self, week: Week) -> bytes:
        """The week's OHTTP key configuration for the directory (RFC 9458 section 3.1)."""
        return self.keys.key_config(week)

    def accept_directory(self, directory: Cleared[bytes]) -> None:
        """Take a week's signed directory: from now on its bytes are served and its week can be counted.

        Raises:
            DisclosureError: it was cleared as something else.
            DsseError: the signature is not the directory key's.
            BadDirectoryError: it does not fit this installation, its register or its key.
            ConflictError: another one stands for that week.
        """
        if directory.kind is not Kind.DIRECTORY:
            raise DisclosureError("this was not cleared as a directory")
        envelope = directory.payload
        payload = dsse.verify(envelope, PayloadType.DIRECTORY, self.setup.directory_key, 2 * MAX_DIRECTORY)
        week = _week_of(payload)
        self._check(read_directory(payload, week), week)
        # Made now, weeks before it signs: a database that is put back to a moment in between still has it.
        self.keys.manifest_key()
        self.store.accept_directory(StoredDirectory(week, envelope, payload, sha256(envelope)))
        self.weeks.reload()

    def accept_totals(self, totals: Cleared[bytes]) -> None:
        """Take a week's box totals, whose signature the composition root has verified.

        Raises:
            DisclosureError: they were not cleared for analytics.
            BadTotalsError: another form.
            ConflictError: other totals stand for that week.
        """
        if totals.kind is not Kind.BOX_TOTALS or totals.recipient is not Recipient.ANALYTICS:
            raise DisclosureError("these were not cleared as box totals for analytics")
        week, _ = read_totals(totals.payload)
        self.store.accept_totals(week, StoredTotals(totals.payload, sha256(totals.payload)))

    def release(self, week: Week) -> Outcome:
        """Draw a closed week's release in this process, once; see `run_release`."""
        return run_release(self.store, week, self.setup.clock.now(), self.keys.manifest_key(), self.archive)

    def download(
        self, kind: str, form: str, args: Mapping[str, str], language: Language | None = None
    ) -> Cleared[bytes]:
        """A download for the console; see `Publication.download`."""
        return self.publication.download(kind, form, args, language)

    def line(self) -> Line:
        """The anonymous line as an application of its own, without Flask."""
        return Line(self.store, self.intake, self.tally, self._chores, self.close)

    def _chores(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Store the counts of refusals, and take note of what other nodes have published, done and drawn.

        What the database does not take stays counted in memory. A release that another node has drawn is
        kept in this node's archive too, so that whichever node comes first after a restore knows of it.
        """
        self._store_tally()
        self.weeks.refresh()
        self.archive.keep_all(self.store)

    def _store_tally(self) -> None:
        self.tally.store(self.store.add_tally)

    def close(self) -> None:
        """Answer what is waiting, store what is still in memory and let go of the database."""
        self.intake.close()
        self._store_tally()
        self.store.close()

    def _check(self, said: Directory, week: Week) -> None:
        said.taken()
        if said.zone != self.setup.zone.key:
            raise BadDirectoryError(f"its zone is {said.zone}")
        if said.key_config() != self.keys.gateway(week).config.encode():
            raise BadDirectoryError("its sealing key is not this installation's")

    # --- the jobs
    def _slot(self, job: str) -> Slot:
        done = self.store.last_done(job)
        return week_slot(
            str(done) if done else None, self.setup.first_week, lambda week: week.closes(self.setup.zone)
        )

    def _next_week(self) -> Week:
        return Week.parse(self._slot(RELEASE_JOB).name)

    def _job(self, name: str, run: Callable[[Slot], None]) -> Job:
        return Job(name, lambda: self._slot(name), run, lambda: self.store.last_run(name))

    def _release_slot(self) -> Slot:
        return self._slot(RELEASE_JOB)

    def _release(self, slot: Slot) -> None:
        week = Week.parse(slot.name)
        self.setup.spawn_release(week)
        if self.store.state(week) in {None, WeekState.OPEN}:
            raise WeekNotDoneError(f"the release of {week} ended without a result")

    def _prune(self, slot: Slot) -> None:
        week = Week.parse(slot.name)
        if self.store.state(week) in {None, WeekState.OPEN}:
            raise WeekNotDoneError(f"{week} has not come to its end")
        self.keys.forget(week)
        self.store.forget(week, to_ms(self.setup.clock.now()))
        self.weeks.reload()

    # --- what is seen of it
    def _ready(self) -> None:
        self.store.installation()

    def _tiles(self, visit: Visit) -> list[Tile]:
        if visit.role not in ROLES:
            return []
        genre = overview.genre_tile(self.publication, visit)
        return [
            overview.release_tile(self._release_slot(), self.setup.clock.now(), visit),
            *([genre] if genre else []),
            overview.releases_tile(self.publication, visit),
            overview.budget_tile(self.store, self.publication, self._next_week(), visit),
        ]

    def _metrics(self) -> list[tuple[str, dict[str, str], float]]:
        refused = self.tally.beside(self.store.tally)
        told = [
            ("headend_refused_total", {"side": "analytics", "name": name}, n) for name, n in refused.items()
        ]
        now = self.setup.clock.now()
        return [*told, *samples(self.store, self._next_week(), self.setup.profile, now)]


def _beside(place: Place) -> Path:
    assert not is_url(place), "an archive has to be named"  # noqa: S101 (the composition root names it)
    return Path(place).parent / "releases"


def _stamp(setup: Setup) -> Installation:
    return Installation(
        setup.simulated,
        setup.profile.name,
        setup.zone.key,
        setup.first_week,
        cap_micro(setup.profile),
    )


class _OnlyWeek(msgspec.Struct):
    """The one field of a directory that is needed to read the rest."""

    week: str


def _week_of(payload: bytes) -> Week:
    try:
        return Week.parse(msgspec.json.decode(payload, type=_OnlyWeek).week)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, NotAWeekError) as error:
        raise BadDirectoryError(str(error)) from error
