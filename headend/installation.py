"""An installation: its folder, its settings, its clock and its keys.

installation.toml       what was decided when it was made
billing.db analytics.db console.db                      mode 0600, unless a side's database is PostgreSQL's
keys/root keys/billing keys/analytics keys/console      one folder a side, mode 0700, files 0600
lock                    held by the one worker that serves
backed-up               when the newest backup was made
billing.moving          while its database is being moved to PostgreSQL; billing.db.moved afterwards
"""

import fcntl
import os
import pwd
import shutil
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo, available_timezones

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from headend.kit.engine import Place, is_url
from headend.kit.files import write_file, write_once
from shared import dsse
from shared.clock import Clock
from shared.errors import StbError
from shared.register import Profile, profile
from shared.system_clock import SteeredClock, SystemClock
from shared.weeks import Week

SETTINGS = "installation.toml"
SIDES_FILE = "sides"
BACKED_UP = "backed-up"
ALL_SIDES = ("billing", "analytics", "console")
KEPT_AS_FILES = ("releases", "totals")
"""Folders beside the databases: releases ever drawn, and box totals handed over."""
DIRECTORY_KEY = ("root", "directory")
CATALOGUE_KEY = ("billing", "catalogue")
BILLING_KEY = ("billing", "billing")


class InstallationError(StbError):
    """The folder is no usable installation; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What was decided when the installation was made.

    `areas` maps prefixes of postal areas to regions; `first_week` is the first week that it counts.
    `databases` names the PostgreSQL database of each side that does not keep a file of its own.
    """

    issuer: str
    zone: str
    profile: str
    country: str
    first_week: str
    simulated: bool
    clock: str
    regions: tuple[str, ...]
    areas: dict[str, str]
    databases: dict[str, str] = field(default_factory=dict)


def _check(settings: Settings) -> Settings:
    if settings.zone not in available_timezones():
        raise InstallationError(f"unknown time zone {settings.zone!r}")
    profile(settings.profile)
    Week.parse(settings.first_week)
    if settings.clock and not settings.simulated:
        raise InstallationError("a steered clock works only on an installation made with --simulated")
    if settings.simulated and not settings.clock:
        raise InstallationError("a simulated installation needs the simulator's clock file: --clock")
    unlisted = set(settings.areas.values()) - set(settings.regions)
    if unlisted:
        raise InstallationError(f"areas name regions that are not listed: {', '.join(sorted(unlisted))}")
    odd = {side for side, url in settings.databases.items() if side not in ALL_SIDES or not is_url(url)}
    if odd:
        raise InstallationError(f"databases takes postgresql:// addresses of {', '.join(ALL_SIDES)}: {odd}")
    if len(set(settings.databases.values())) < len(settings.databases):
        raise InstallationError("each side needs a database of its own")
    if not 1 <= len(settings.issuer) <= 64:  # noqa: PLR2004 (it stands in every token challenge)
        raise InstallationError("the issuer's name has 1 to 64 characters")
    return settings


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def databases_of(template: str, sides: tuple[str, ...] = ALL_SIDES) -> dict[str, str]:
    """Each side's database by an address in which {side} stands for the side's name.

    >>> databases_of("postgresql://stb_{side}@db.example/stb_{side}")["billing"]
    'postgresql://stb_billing@db.example/stb_billing'

    Raises:
        InstallationError: it is no such address, has a password in it (before the host or as a parameter), or
            two sides would share a database.
    """
    if not is_url(template):
        raise InstallationError("a database is told as postgresql://…{side}…, {side} being the side's name")
    # Before an @ stands a user, and behind a colon there a password, whatever characters are in it.
    user, is_user, _ = template.partition("://")[2].partition("@")
    query = parse_qs(template.partition("?")[2], keep_blank_values=True)
    if (is_user and user.partition(":")[2]) or "password" in query:
        raise InstallationError(
            "installation.toml is no place for a password: give it by PGPASSFILE, or the whole address by"
            " HEADEND_BILLING_DATABASE_FILE and its like"
        )
    found = {side: template.replace("{side}", side) for side in sides}
    if len(set(found.values())) < len(sides):
        raise InstallationError("each side has a database of its own: write {side} into the address")
    return found


def address_of(side: str, settings: Settings) -> str | None:
    """The address of a side's PostgreSQL database, if it has one; see `Installation.place`.

    Raises:
        InstallationError: the file with the address cannot be read, or the address is none of PostgreSQL.
    """
    name = f"HEADEND_{side.upper()}_DATABASE"
    said = os.environ.get(name)
    if (secret := os.environ.get(f"{name}_FILE")) is not None:
        try:
            said = Path(secret).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InstallationError(f"{name}_FILE: {error}") from error
    url = said or settings.databases.get(side)
    if url is not None and not is_url(url):
        raise InstallationError(f"{name} has to begin with postgresql://")
    return url


def _read(text: str) -> Settings:
    found: dict[str, Any] = tomllib.loads(text)
    found["regions"] = tuple(found["regions"])
    return _check(Settings(**found))


def _says(text: str, wanted: Settings) -> bool:
    try:
        return _read(text) == wanted
    except (ValueError, TypeError, KeyError):
        return False


def _toml(settings: Settings) -> str:
    text = _quoted
    lines = [
        f"issuer = {text(settings.issuer)}",
        f"zone = {text(settings.zone)}",
        f"profile = {text(settings.profile)}",
        f"country = {text(settings.country)}",
        f"first_week = {text(settings.first_week)}",
        f"simulated = {'true' if settings.simulated else 'false'}",
        f"clock = {text(settings.clock)}",
        f"regions = [{', '.join(text(region) for region in settings.regions)}]",
        "",
        "[areas]",
        *(f"{text(area)} = {text(region)}" for area, region in sorted(settings.areas.items())),
    ]
    if settings.databases:
        lines += ["", "[databases]"]
        lines += [f"{side} = {text(url)}" for side, url in sorted(settings.databases.items())]
    return "\n".join(lines) + "\n"


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


class Installation:
    """An installation's folder, opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.settings = _read((folder / SETTINGS).read_text())
        except FileNotFoundError as error:
            raise InstallationError(f"{folder} is no installation; make one with `headend init`") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InstallationError(f"{folder / SETTINGS}: {error}") from error

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> "Installation":
        """Make a new installation with its keys, in a folder for its owner alone unless the folder stands.

        Raises:
            InstallationError: there is one already, or the settings are not usable.
        """
        if (folder / SETTINGS).exists():
            raise InstallationError(f"{folder} is an installation already")
        _check(settings)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for side in ("root", "billing", "analytics"):
            (folder / "keys" / side).mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in (DIRECTORY_KEY, CATALOGUE_KEY, BILLING_KEY):
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            write_once(cls._key_path(folder, key), pem)
        write_file(folder / SETTINGS, _toml(settings).encode(), 0o644)
        return cls(folder)

    def make_node(self, target: Path) -> "Installation":
        """Make the folder of another node of this installation: settings, keys, and what is kept as files.

        Raises:
            InstallationError: a side has its database in a file here, or `target` stands already.
        """
        alone = [side for side in self.sides if self.address(side) is None]
        if alone:
            raise InstallationError(
                f"{', '.join(alone)}: in a file of this node; only what is in PostgreSQL has several nodes"
            )
        try:
            target.mkdir(parents=True, mode=0o700)
        except FileExistsError as error:
            raise InstallationError(f"{target} stands already") from error
        for name in ("keys", *KEPT_AS_FILES):
            if (self.folder / name).is_dir():
                shutil.copytree(self.folder / name, target / name)
        shutil.copy2(self.folder / SETTINGS, target / SETTINGS)
        return Installation(target)

    @staticmethod
    def _key_path(folder: Path, key: tuple[str, str]) -> Path:
        return folder / "keys" / key[0] / f"{key[1]}.pem"

    def key(self, key: tuple[str, str]) -> Ed25519PrivateKey:
        """A signing key.

        Raises:
            InstallationError: the file is missing or holds another kind of key.
        """
        path = self._key_path(self.folder, key)
        try:
            found = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise InstallationError(f"no usable key at {path}") from error
        if not isinstance(found, Ed25519PrivateKey):
            raise InstallationError(f"{path} holds another kind of key")
        return found

    def public(self, key: tuple[str, str]) -> Ed25519PublicKey:
        """The public half of a signing key; in a folder of some sides only, from a file of its own.

        Raises:
            InstallationError: neither is here.
            BadPublicKeyError: the file holds no key.
        """
        alone = self.folder / "keys" / f"{key[1]}.pub"
        return (
            dsse.public_from_text(alone.read_text().strip()) if alone.exists() else self.key(key).public_key()
        )

    def public_text(self, key: tuple[str, str]) -> str:
        """The public half as boxes pin it: base64 of 32 bytes."""
        return dsse.public_to_text(self.public(key))

    def keys_of(self, side: str) -> Path:
        """The folder of a side's keys."""
        return self.folder / "keys" / side

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that this folder has: all, or those that its file `sides` names (`headend apart`)."""
        named = self.folder / SIDES_FILE
        return tuple(named.read_text().strip().split(",")) if named.exists() else ALL_SIDES

    def check_sides(self, sides: Iterable[str]) -> None:
        """Refuse sides that this folder does not have.

        Raises:
            InstallationError: one of them is elsewhere.
        """
        if elsewhere := [side for side in sides if side not in self.sides]:
            raise InstallationError(
                f"{self.folder} has {', '.join(self.sides)} only; {', '.join(elsewhere)} is elsewhere"
            )

    def database(self, side: str) -> Path:
        """The file of a side's database, where it has no PostgreSQL."""
        return self.folder / f"{side}.db"

    def place(self, side: str) -> Place:
        """Where a side's database is: as the environment says it, else the settings, else its own file.

        The environment's variable is HEADEND_BILLING_DATABASE (or _ANALYTICS_, _CONSOLE_); with _FILE behind
        it the variable names a file that holds the address, for addresses with a password.

        Raises:
            InstallationError: that file cannot be read, or the address is none of PostgreSQL; or the file of
                the database has been moved, or is being moved, to PostgreSQL.
        """
        return self.address(side) or self._file(side)

    def address(self, side: str) -> str | None:
        """The address of a side's PostgreSQL database, if it has one; see `place`."""
        return address_of(side, self.settings)

    def _file(self, side: str) -> Path:
        if self.moving_mark(side).exists():
            raise InstallationError(
                f"{side} is being moved to PostgreSQL: end that with `headend migrate` as it was begun, "
                "or give it up with `headend migrate --give-up`"
            )
        if self.moved_file(side).exists():
            raise InstallationError(
                f"{side} was moved to PostgreSQL, and {SETTINGS} does not say where it is"
            )
        return self.database(side)

    def moving_mark(self, side: str) -> Path:
        """The file that stands while a side's database is being moved to PostgreSQL."""
        return self.folder / f"{side}.moving"

    def moved_file(self, side: str) -> Path:
        """The file of a side's database once it has been moved; nothing opens it."""
        return self.folder / f"{side}.db.moved"

    def place_at(self, databases: dict[str, str]) -> "Installation":
        """The same installation with these sides on PostgreSQL; the rest of its settings file stays as it is.

        Raises:
            InstallationError: the file would not say that; it is unchanged.
        """
        path = self.folder / SETTINGS
        kept, table = path.read_text().rstrip("\n").split("\n"), "[databases]"
        if table not in kept:
            kept += ["", table]
        place = kept.index(table) + 1
        old = [line for line in kept[place:] if line.partition("=")[0].strip() not in databases]
        kept[place:] = [*(f"{side} = {_quoted(url)}" for side, url in sorted(databases.items())), *old]
        text = "\n".join(kept) + "\n"
        wanted = replace(self.settings, databases={**self.settings.databases, **databases})
        if not _says(text, wanted):
            raise InstallationError(f"{path}: the table [databases] has to be written by hand: {databases}")
        write_file(path, text.encode(), 0o644)
        return Installation(self.folder)

    def note_backup(self) -> None:
        """Note that a backup has been made now."""
        write_file(self.folder / BACKED_UP, f"{self.clock().now().isoformat()}\n".encode(), 0o644)

    def backed_up(self) -> datetime | None:
        """When the newest backup of this folder was made, by the installation's clock, if one is known of."""
        try:
            return datetime.fromisoformat((self.folder / BACKED_UP).read_text().strip())
        except (FileNotFoundError, ValueError):
            return None

    def clock(self) -> Clock:
        """The installation's clock: the machine's, or the simulator's on a simulated one."""
        if not self.settings.simulated:
            return SystemClock()
        return SteeredClock(Path(self.settings.clock))

    @property
    def zone(self) -> ZoneInfo:
        """The one zone in which its weeks and dayparts are cut."""
        return ZoneInfo(self.settings.zone)

    @property
    def profile(self) -> Profile:
        """The profile of measures that it takes."""
        return profile(self.settings.profile)

    @property
    def first_week(self) -> Week:
        """The first week that it counts."""
        return Week.parse(self.settings.first_week)

    @property
    def is_shared(self) -> bool:
        """Whether several processes may serve it: every side's database is PostgreSQL's."""
        return all(self.address(side) is not None for side in self.sides)

    def check_user(self) -> None:
        """Refuse who may not write here, and root where another user could not open what root makes.

        Raises:
            InstallationError: with how to be that user.
        """
        owner = self.folder.stat().st_uid
        is_foreign_root = os.geteuid() == 0 and owner != 0
        if is_foreign_root or not os.access(self.folder, os.W_OK | os.X_OK, effective_ids=True):
            raise InstallationError(
                f"{self.folder} belongs to {_name_of(owner)}: runuser -u {_name_of(owner)} -- headend …"
            )

    def lock(self) -> int:
        """Take the installation for this process; held until the process ends, however it ends.

        An installation that several processes may serve is taken together with them.

        Raises:
            InstallationError: another process serves it, or it is another user's.
        """
        return self._lock("lock")

    def gateway_lock(self) -> int:
        """Likewise for the one process that serves the gateway apart.

        Raises:
            InstallationError: another process serves it, or it is another user's.
        """
        return self._lock("gateway.lock")

    def _lock(self, name: str) -> int:
        self.check_user()
        how = fcntl.LOCK_SH if self.is_shared else fcntl.LOCK_EX
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InstallationError(f"another process serves {self.folder}") from error
        return descriptor
