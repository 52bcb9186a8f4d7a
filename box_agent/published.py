"""What is published to all boxes alike, opened: the signed directory of a week, the signed catalogue.

Verified and decoded once a process for the same bytes, whoever asks, so that thousands of agents in one
process hold one copy. Imports cryptography: import this module when there is something to open.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from shared.directory import MAX_DIRECTORY, BadDirectoryError, Directory, read_directory
from shared.dsse import DsseError, PayloadType, public_from_text, verify
from shared.errors import StbError
from shared.named import Catalogue, Offer, Promotion, UnreadableMessageError, read
from shared.notice_version import notice_version
from shared.register import Profile
from shared.weeks import Week

MAX_CATALOGUE = 8 * 1024 * 1024
_COPIES = 4
_T = TypeVar("_T")


class BadCatalogueError(StbError):
    """A catalogue that this box does not accept; the message says why."""


@dataclass(frozen=True)
class Pinned:
    """What a directory has to agree with: the pinned key, and the installation's issuer and zone."""

    key: str
    issuer: str
    zone: str


@dataclass(frozen=True)
class OpenDirectory:
    """A directory that may be acted on, and the measures that it takes."""

    directory: Directory
    profile: Profile


@lru_cache(maxsize=_COPIES)
def open_directory(raw: bytes, pinned: Pinned, week: Week) -> OpenDirectory:
    """Open a week's directory.

    Raises:
        BadDirectoryError: not signed by the pinned key, of another week, issuer, zone or notice, or its
            register is not the one packaged here.
    """
    try:
        payload = verify(raw, PayloadType.DIRECTORY, public_from_text(pinned.key), limit=MAX_DIRECTORY)
    except DsseError as error:
        raise BadDirectoryError(str(error)) from error
    found = read_directory(payload, week)
    if (found.issuer, found.zone) != (pinned.issuer, pinned.zone):
        raise BadDirectoryError("it is another installation's")
    if found.notice != notice_version():
        raise BadDirectoryError("its notice is not the one packaged here")
    return OpenDirectory(found, found.taken())


@dataclass(frozen=True)
class Offers:
    """A catalogue's offers and promotions by id, each with its versions."""

    version: int
    by_id: Mapping[str, tuple[Offer, ...]]
    promotions: Mapping[str, tuple[Promotion, ...]]


NOTHING_OFFERED = Offers(0, {}, {})
"""What a box offers that has no catalogue yet."""


@dataclass(frozen=True)
class Packed:
    """A catalogue's bytes, loaded only when no copy of that digest is open yet."""

    digest: str
    load: Callable[[], bytes] = field(compare=False)


@lru_cache(maxsize=_COPIES)
def open_catalogue(found: Packed, key: str) -> Offers:
    """Open a catalogue that the pinned key signed.

    Raises:
        BadCatalogueError: another key signed it, or it has another form.
    """
    try:
        payload = verify(found.load(), PayloadType.CATALOGUE, public_from_text(key), limit=MAX_CATALOGUE)
        catalogue = read(payload, Catalogue)
    except (DsseError, UnreadableMessageError) as error:
        raise BadCatalogueError(str(error)) from error
    return Offers(
        catalogue.version,
        _versions((one.offer, one) for one in catalogue.offers),
        _versions((one.promotion, one) for one in catalogue.promotions),
    )


def _versions(named: Iterable[tuple[str, _T]]) -> dict[str, tuple[_T, ...]]:
    found: dict[str, tuple[_T, ...]] = {}
    for name, one in named:
        found[name] = (*found.get(name, ()), one)
    return found
