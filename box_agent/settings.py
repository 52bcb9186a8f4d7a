"""The box's settings: one TOML file, read strictly. A wrong value stops the start."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LAST_PORT = 65_535
_Key = Annotated[str, Meta(min_length=44, max_length=44)]
_Text = Annotated[str, Meta(min_length=1, max_length=64)]


class BadSettingsError(StbError):
    """The settings are incomplete or contradict themselves; the message says where."""


class BoxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an installer sets; see docs/box.md for each field.

    `directory_key` and `catalogue_key` are the pinned Ed25519 keys, standard base64 of 32 bytes.
    """

    headend_url: str
    relay_url: str
    issuer: Annotated[str, Meta(min_length=1, max_length=255)]
    directory_key: _Key
    catalogue_key: _Key
    zone: _Text
    postal_area: Annotated[str, Meta(max_length=16)] = ""
    serial: _Text
    state_dir: str
    socket_path: str | None = None
    heartbeat_hours: Annotated[int, Meta(ge=1, le=720)] = 24
    order_retention_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    sentlog_retention_days: Annotated[int, Meta(ge=1, le=366)] = 60
    consent_file: str | None = None
    language: Literal["en", "nl", "fr"] = "en"
    ca_file: str | None = None
    kodi: str | None = None
    guide_file: str | None = None
    guide_categories: str | None = None
    simulated: bool = False
    steered_clock: str | None = None

    def timezone(self) -> ZoneInfo:
        """The installation's zone; `check` has seen that it exists."""
        return ZoneInfo(self.zone)

    def state(self) -> Path:
        """Where the agent keeps its files."""
        return Path(self.state_dir)

    def consent_witness(self) -> Path:
        """Where the answer stands a second time; best on another partition than the store."""
        return Path(self.consent_file) if self.consent_file else self.state() / "consent.json"

    def kodi_address(self) -> tuple[str, int]:
        """Where Kodi's JSON-RPC is; `check` has seen that it is of this form."""
        return _host_and_port(self.kodi or "")

    def socket(self) -> Path:
        """Where the agent listens."""
        return Path(self.socket_path) if self.socket_path else self.state() / "agent.sock"


def read_settings(path: Path) -> BoxSettings:
    """Read the settings' file.

    Raises:
        BadSettingsError: it cannot be read, is no TOML, or `check` refuses it.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), BoxSettings)
    except OSError as error:
        raise BadSettingsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise BadSettingsError(f"{path}: {error}") from error
    return check(found)


def check(settings: BoxSettings) -> BoxSettings:
    """What the types cannot say; answers with the same settings.

    Raises:
        BadSettingsError: a plain-text address off this machine, no address of Kodi,
            an unknown zone, or a steered clock on a box that is not simulated.
    """
    for url in (settings.headend_url, settings.relay_url):
        _check_url(url)
    if settings.kodi is not None:
        settings.kodi_address()
    try:
        settings.timezone()
    except (KeyError, ValueError, OSError) as error:
        raise BadSettingsError(f"no time zone {settings.zone!r}") from error
    if settings.steered_clock is not None and not settings.simulated:
        raise BadSettingsError("a steered clock needs simulated = true")
    return settings


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not host or not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _LAST_PORT:
        raise BadSettingsError(f"{text!r} is not of the form host:port")
    return host.strip("[]"), int(port)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise BadSettingsError(f"{url!r} is no address") from error
    if host is None or parts.username is not None or parts.query or parts.fragment:
        raise BadSettingsError(f"{url!r} is not of the form https://host/path")
    if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK):
        return
    raise BadSettingsError(f"{url!r}: https is needed, but on this machine itself")
