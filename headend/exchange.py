"""What passes between sides that are served apart: files in `exchange`, each folder written by one of them.

    billing      token-keys-<week>.json, totals-<week>.json
    analytics    sealing-key-<week>
    root         directory-<week>.json, made of the two by `headend exchange`, which has the root key

Token keys and the sealing key are public halves. Totals are signed by billing and cleared by the disclosure
table where they are taken. Nothing of a box or an account is in any of them.
"""

import fnmatch
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from headend.analytics.side import RELEASE_JOB, AnalyticsSide
from headend.billing.side import BillingSide
from headend.directories import make_directory
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.installation import BILLING_KEY, DIRECTORY_KEY, Installation
from headend.kit.files import write_once
from headend.kit.jobs import Job, Slot, week_slot
from shared import dsse
from shared.directory import MAX_DIRECTORY, read_directory
from shared.errors import StbError
from shared.register import in_force
from shared.weeks import Week

SPOOL_VARIABLE = "HEADEND_EXCHANGE"
DIRECTORY_LEAD_WEEKS = 1
"""A week's directory is published this many weeks before it starts."""
GRACE = timedelta(hours=1)
"""How long what the other side has to give may be awaited before the job that needs it says that it fails."""
MOST = 1 << 20
"""Bytes of a file that are read."""
PUBLIC, PUBLIC_FOLDER = 0o644, 0o755
"""What each side lays down is read by the other sides' users."""


class ExchangeError(StbError):
    """What lies in the exchange cannot be used; the message names the file."""


class Spool:
    """The folder through which files pass."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, side: str, name: str, content: bytes) -> None:
        """Lay a file down for the others; one that lies there already stays as it is.

        Raises:
            ExchangeError: the folder does not take it.
        """
        place = self.folder / side
        try:
            for folder in (self.folder, place):
                if not folder.is_dir():
                    folder.mkdir(parents=True)
                    folder.chmod(PUBLIC_FOLDER)
            write_once(place / name, content, PUBLIC)
        except OSError as error:
            raise ExchangeError(f"{place / name} cannot be written: {error.strerror}") from error

    def get(self, side: str, name: str) -> bytes | None:
        """A file of that side, or None if it has not come.

        Raises:
            ExchangeError: it cannot be read, or is larger than any such file.
        """
        path = self.folder / side / name
        try:
            with path.open("rb") as file:
                found = file.read(MOST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ExchangeError(f"{path} cannot be read: {error.strerror}") from error
        if len(found) > MOST:
            raise ExchangeError(f"{side}/{name} is larger than {MOST} bytes")
        return found

    def need(self, side: str, name: str) -> bytes:
        """Likewise, where it should have come by now.

        Raises:
            ExchangeError: it has not.
        """
        found = self.get(side, name)
        if found is None:
            raise ExchangeError(f"{side}/{name} has not come")
        return found

    def weeks(self, side: str, before: str, after: str) -> Iterator[str]:
        """The weeks of which there is a file of that name.

        Raises:
            ExchangeError: the side's folder cannot be read.
        """
        place = self.folder / side
        try:
            names = sorted(path.name for path in place.iterdir())  # unlike glob, it says when it may not look
        except FileNotFoundError:
            return
        except OSError as error:
            raise ExchangeError(f"{place} cannot be read: {error.strerror}") from error
        for name in fnmatch.filter(names, f"{before}*{after}"):
            yield name.removeprefix(before).removesuffix(after)


def spool_of(installation: Installation) -> Spool:
    """The exchange of an installation: a folder of its own, or where HEADEND_EXCHANGE says."""
    return Spool(Path(os.environ.get(SPOOL_VARIABLE) or installation.folder / "exchange"))


def _tokens(week: object) -> str:
    return f"token-keys-{week}.json"


def _sealing(week: object) -> str:
    return f"sealing-key-{week}"


def _directory(week: object) -> str:
    return f"directory-{week}.json"


def _totals(week: object) -> str:
    return f"totals-{week}.json"


def signed_totals(billing: BillingSide, installation: Installation, week: Week) -> bytes:
    """The week's box totals as they were signed the first time, in their file; never figures drawn anew."""
    key = installation.key(BILLING_KEY)
    file = installation.folder / "totals" / f"{week}.json"
    if not file.exists():
        payload = msgspec.json.encode(billing.totals(week))
        file.parent.mkdir(exist_ok=True)
        envelope = dsse.sign(payload, dsse.PayloadType.TOTALS, key, dsse.key_id(key.public_key()))
        write_once(file, envelope, PUBLIC)
    return file.read_bytes()


class BillingApart:
    """Billing's part of the exchange, where analytics is served elsewhere."""

    def __init__(self, side: BillingSide, installation: Installation) -> None:
        self._side, self._installation = side, installation
        self._spool = spool_of(installation)

    def jobs(self) -> Iterator[Job]:
        """Billing's jobs, with those that the composition root has where both sides are."""
        zone = self._installation.zone
        yield self._job("offer-keys", _lead(zone), self._offer_keys)
        yield self._job("directory", _arrives(_lead(zone), self._came), self._take_directory)
        yield from self._side.side.jobs
        yield self._job("totals", lambda week: week.plus(2).start(zone), self._offer_totals)

    def _job(self, name: str, due: Callable[[Week], datetime], run: Callable[[Week], None]) -> Job:
        store = self._side.store

        def work(slot: Slot) -> None:
            run(Week.parse(slot.name))
            store.write(lambda tx: tx.claim(name, slot.name, self._side.now_ms()))

        def next_slot() -> Slot:
            return week_slot(store.read().last_slot(name), self._installation.first_week, due)

        return Job(name, next_slot, work, lambda: store.read().last_run(name))

    def _offer_keys(self, week: Week) -> None:
        self._spool.put("billing", _tokens(week), msgspec.json.encode(self._side.token_keys(week)))

    def _came(self, week: Week) -> bool:
        return self._spool.get("root", _directory(week)) is not None

    def _take_directory(self, week: Week) -> None:
        envelope = self._spool.need("root", _directory(week))
        public = self._installation.public(DIRECTORY_KEY)
        payload = dsse.verify(envelope, dsse.PayloadType.DIRECTORY, public, 2 * MAX_DIRECTORY)
        said = read_directory(payload, week)
        own = self._side.token_keys(week)
        if {one.measure: said.token_key(one.measure) for one in said.token_keys} != own:
            raise ExchangeError(f"root/{_directory(week)} names other token keys than billing's")
        self._side.store.write(lambda tx: tx.put_directory(str(week), envelope))

    def _offer_totals(self, week: Week) -> None:
        self._spool.put("billing", _totals(week), signed_totals(self._side, self._installation, week))


class AnalyticsApart:
    """Analytics' part of the exchange, where billing is served elsewhere."""

    def __init__(self, side: AnalyticsSide, installation: Installation) -> None:
        self._side, self._installation = side, installation
        self._spool = spool_of(installation)

    def jobs(self) -> Iterator[Job]:
        """Analytics' jobs, with those that the composition root has where both sides are."""
        zone = self._installation.zone
        lead = _lead(zone)
        yield self._job("offer-keys", self._key_done, lead, self._offer_key)
        yield self._job("directory", self._directory_done, _arrives(lead, self._came), self._take_directory)
        closes = _arrives(lambda week: week.closes(zone), self._totals_came)
        yield self._job("totals", self._totals_done, closes, self._take_totals)
        yield from map(self._after_totals, self._side.side.jobs)

    def _job(
        self,
        name: str,
        done: Callable[[], Week | None],
        due: Callable[[Week], datetime],
        run: Callable[[Week], None],
    ) -> Job:
        """A job whose turns are told by what has been stored of them."""

        def next_slot() -> Slot:
            last = done()
            return week_slot(None if last is None else str(last), self._installation.first_week, due)

        return Job(name, next_slot, lambda slot: run(Week.parse(slot.name)))

    def _directory_done(self) -> Week | None:
        newest = [one.week for one in self._side.store.directories(None, 1)]
        # A week that has ended without one gets none any more.
        ended = self._side.store.last_done(RELEASE_JOB)
        return max([*newest, *([ended] if ended else [])], key=str, default=None)

    def _key_done(self) -> Week | None:
        return self._or_next(self._directory_done(), lambda week: self._offered(week) is not None)

    def _totals_done(self) -> Week | None:
        store = self._side.store
        return self._or_next(store.last_done(RELEASE_JOB), lambda week: store.totals(week) is not None)

    def _or_next(self, done: Week | None, is_done: Callable[[Week], bool]) -> Week | None:
        """The last week that is done without a gap after `done`."""
        following = self._installation.first_week if done is None else done.plus(1)
        while is_done(following):
            done, following = following, following.plus(1)
        return done

    def _offered(self, week: Week) -> bytes | None:
        return self._spool.get("analytics", _sealing(week))

    def _after_totals(self, job: Job) -> Job:
        """What ends a week is not tried before its totals have come, so that waiting is no failure."""

        def next_slot() -> Slot:
            slot = job.next_slot()
            came = self._side.store.totals(Week.parse(slot.name)) is not None
            return slot if came else replace(slot, due=slot.due + GRACE)

        return replace(job, next_slot=next_slot)

    def _offer_key(self, week: Week) -> None:
        self._spool.put("analytics", _sealing(week), self._side.key_config(week))

    def _came(self, week: Week) -> bool:
        return self._spool.get("root", _directory(week)) is not None

    def _take_directory(self, week: Week) -> None:
        envelope = self._spool.need("root", _directory(week))
        self._side.accept_directory(clear(envelope, Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL))

    def _totals_came(self, week: Week) -> bool:
        return self._spool.get("billing", _totals(week)) is not None

    def _take_totals(self, week: Week) -> None:
        envelope = self._spool.need("billing", _totals(week))
        stated = dsse.verify(envelope, dsse.PayloadType.TOTALS, self._installation.public(BILLING_KEY))
        self._side.accept_totals(clear(stated, Kind.BOX_TOTALS, Recipient.ANALYTICS, Purpose.EXTRAPOLATION))


def _lead(zone: ZoneInfo) -> Callable[[Week], datetime]:
    return lambda week: week.plus(-DIRECTORY_LEAD_WEEKS).start(zone)


def _arrives(due: Callable[[Week], datetime], came: Callable[[Week], bool]) -> Callable[[Week], datetime]:
    """Due when it is due, or a while later as long as what it takes has not come."""
    return lambda week: due(week) if came(week) else due(week) + GRACE


def publish_offered(installation: Installation) -> list[Week]:
    """Make the directories for which both sides have offered their keys; those that were made now.

    Raises:
        ExchangeError: what a side has offered cannot be used.
        InstallationError: the root key is not here, or the folder is another user's.
    """
    installation.check_user()
    spool = spool_of(installation)
    made = []
    for name in spool.weeks("billing", "token-keys-", ".json"):
        week = Week.parse(name)
        sealing = spool.get("analytics", _sealing(week))
        if sealing is None or spool.get("root", _directory(week)) is not None:
            continue
        keys = _offered_keys(installation, week, spool.need("billing", _tokens(week)))
        key = installation.key(DIRECTORY_KEY)
        spool.put("root", _directory(week), make_directory(installation.settings, week, keys, sealing, key))
        made.append(week)
    return made


def _offered_keys(installation: Installation, week: Week, offered: bytes) -> dict[str, bytes]:
    try:
        keys = msgspec.json.decode(offered, type=dict[str, bytes])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeError(f"billing/{_tokens(week)}: {error}") from error
    wanted = {measure.name for measure in in_force(installation.profile, week.monday()).measures}
    if keys.keys() != wanted:
        raise ExchangeError(f"billing/{_tokens(week)} has other measures than the profile")
    return keys
