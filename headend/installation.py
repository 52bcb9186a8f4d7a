"""An installation: its folder, its settings, its clock and its keys.

installation.toml       what was decided when it was made
billing.db analytics.db console.db                      unless a side's database is PostgreSQL's
keys/root keys/billing keys/analytics keys/console      one folder a side, mode 0700, files 0600
lock                    held by the one worker that serves
"""

import fcntl
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
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
SIDES = ("billing", "analytics", "console")
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
    odd = {side for side, url in settings.databases.items() if side not in SIDES or not is_url(url)}
    if odd:
        raise InstallationError(f"databases takes postgresql:// addresses of {', '.join(SIDES)}: {odd}")
    if len(set(settings.databases.values())) < len(settings.databases):
        raise InstallationError("each side needs a database of its own")
    if not 1 <= len(settings.issuer) <= 64:  # noqa: PLR2004 (it stands in every token challenge)
        raise InstallationError("the issuer's name has 1 to 64 characters")
    return settings


def databases_of(template: str) -> dict[str, str]:
    """Each side's database by an address in which {side} stands for the side's name.

    >>> databases_of("postgresql://stb_{side}@db.example/stb_{side}")["billing"]
    'postgresql://stb_billing@db.example/stb_billing'

    Raises:
        InstallationError: it is no such address, or it has a password in it.
    """
    if not is_url(template) or "{side}" not in template:
        raise InstallationError("a database is told as postgresql://…{side}…, {side} being the side's name")
    if urlsplit(template).password:
        raise InstallationError(
            "a password is for PGPASSFILE or HEADEND_BILLING_DATABASE_FILE and its like, not for a command"
        )
    return {side: template.replace("{side}", side) for side in SIDES}


def _toml(settings: Settings) -> str:
    def text(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

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


class Installation:
    """An installation's folder, opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            found: dict[str, Any] = tomllib.loads((folder / SETTINGS).read_text())
            found["regions"] = tuple(found["regions"])
            self.settings = _check(Settings(**found))
        except FileNotFoundError as error:
            raise InstallationError(f"{folder} is no installation; make one with `headend init`") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InstallationError(f"{folder / SETTINGS}: {error}") from error

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> "Installation":
        """Make a new installation with its keys.

        Raises:
            InstallationError: there is one already, or the settings are not usable.
        """
        if (folder / SETTINGS).exists():
            raise InstallationError(f"{folder} is an installation already")
        _check(settings)
        for side in ("root", "billing", "analytics"):
            (folder / "keys" / side).mkdir(parents=True, exist_ok=True, mode=0o700)
        for key in (DIRECTORY_KEY, CATALOGUE_KEY, BILLING_KEY):
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            write_once(cls._key_path(folder, key), pem)
        write_file(folder / SETTINGS, _toml(settings).encode(), 0o644)
        return cls(folder)

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
        """The public half of a signing key."""
        return self.key(key).public_key()

    def public_text(self, key: tuple[str, str]) -> str:
        """The public half as boxes pin it: base64 of 32 bytes."""
        return dsse.public_to_text(self.public(key))

    def keys_of(self, side: str) -> Path:
        """The folder of a side's keys."""
        return self.folder / "keys" / side

    def database(self, side: str) -> Path:
        """The file of a side's database, where it has no PostgreSQL."""
        return self.folder / f"{side}.db"

    def place(self, side: str) -> Place:
        """Where a side's database is: as the environment says it, else the settings, else its own file.

        The environment's variable is HEADEND_BILLING_DATABASE (or _ANALYTICS_, _CONSOLE_); with _FILE behind
        it the variable names a file that holds the address, for addresses with a password.

        Raises:
            InstallationError: that file cannot be read, or the address is none of PostgreSQL.
        """
        name = f"HEADEND_{side.upper()}_DATABASE"
        said = os.environ.get(name)
        if (secret := os.environ.get(f"{name}_FILE")) is not None:
            try:
                said = Path(secret).read_text().strip()
            except OSError as error:
                raise InstallationError(f"{name}_FILE: {error}") from error
        url = said or self.settings.databases.get(side)
        if url is None:
            return self.database(side)
        if not is_url(url):
            raise InstallationError(f"{name} has to begin with postgresql://")
        return url

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

    def lock(self) -> int:
        """Take the installation for this process; held until the process ends, however it ends.

        Raises:
            InstallationError: another process serves it.
        """
        return self._lock("lock")

    def gateway_lock(self) -> int:
        """Likewise for the one process that serves the gateway apart.

        Raises:
            InstallationError: another process serves it.
        """
        return self._lock("gateway.lock")

    def _lock(self, name: str) -> int:
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise InstallationError(f"another process serves {self.folder}") from error
        return descriptor
