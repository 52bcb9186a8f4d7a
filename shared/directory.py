"""The directory: one signed, immutable file per week that says what a box may send and how.

The DSSE payload (type `PayloadType.DIRECTORY`), signed with the directory key that every box has pinned.
A box fetches it over both lines and compares the bytes: whoever would mark a box by a key, a region or a
quota of its own has to show two different files.
"""

import base64
from collections.abc import Mapping
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.clock import to_ms
from shared.errors import StbError
from shared.register import REGION, Grid, Measure, Profile, in_force, profile, register_hash
from shared.tokens import TokenChallenge
from shared.weeks import Week

DIRECTORY_VERSION = 1
MAX_DIRECTORY = 256 * 1024
NO_REGION = "none"


class BadDirectoryError(StbError):
    """A directory that this box or headend does not accept; the message says why."""


class TokenKey(Struct, frozen=True, forbid_unknown_fields=True):
    """The key that signs one measure's tokens of this week: RFC 9578 token-key, base64."""

    measure: str
    token_type: int
    token_key: str

    def spki(self) -> bytes:
        """The key as id-RSASSA-PSS SubjectPublicKeyInfo, DER."""
        return base64.b64decode(self.token_key)


class TakenMeasure(Struct, frozen=True, forbid_unknown_fields=True):
    """A measure as this week takes it; it must equal the register's."""

    name: str
    number: int
    kind: str
    grid: list[str]
    quota: int
    volume_minutes: int
    rho_micro: int


class Directory(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all boxes are told for one week; see docs/protocol.md for the meaning of each field."""

    v: int = DIRECTORY_VERSION
    week: str
    zone: str
    issuer: str
    profile: str
    register: str
    notice: int
    starts_ms: int
    ends_ms: int
    closes_ms: int
    measures: list[TakenMeasure]
    token_keys: list[TokenKey]
    ohttp_keys: Annotated[str, Meta(max_length=4096)]
    region_map: int
    regions: list[str]
    areas: dict[str, str]

    def region_of(self, postal_area: str) -> str:
        """The merged region of a postal area, by this week's map."""
        return region_in(self.areas, postal_area)

    def key_config(self) -> bytes:
        """The OHTTP key configuration (RFC 9458 section 3.1)."""
        return base64.b64decode(self.ohttp_keys)

    def token_key(self, measure: str) -> bytes:
        """The token key of a measure, DER.

        Raises:
            BadDirectoryError: the directory has none.
        """
        for key in self.token_keys:
            if key.measure == measure:
                return key.spki()
        raise BadDirectoryError(f"no token key for measure {measure}")

    def taken(self) -> Profile:
        """The profile that the week takes: as the register declares it, without measures past their review.

        Raises:
            BadDirectoryError: its register is not the one packaged here, or it says otherwise than it.
        """
        if self.register != register_hash():
            raise BadDirectoryError("the register is not the one packaged here")
        declared = in_force(profile(self.profile), Week.parse(self.week).monday())
        if self.measures != describe(declared):
            raise BadDirectoryError("the measures are not those of the register")
        return declared

    def grid(self, measure: Measure) -> Grid:
        """The grid of a measure in this week."""
        return Grid(measure, tuple(self.regions))


def region_in(areas: Mapping[str, str], postal_area: str) -> str:
    """The merged region of a postal area: its longest listed prefix, `none` if there is none.

    Boxes and the headend's totals look a region up by this one rule.
    """
    prefixes = (postal_area[:length] for length in range(len(postal_area), 0, -1))
    return next((areas[prefix] for prefix in prefixes if prefix in areas), NO_REGION)


def describe(taken: Profile) -> list[TakenMeasure]:
    """A profile's measures as a directory carries them."""
    return [
        TakenMeasure(
            measure.name,
            measure.number,
            measure.kind.value,
            list(measure.grid),
            measure.quota,
            measure.volume_minutes,
            measure.rho_micro,
        )
        for measure in taken.measures
    ]


def challenge(issuer: str, measure: str, week: Week) -> TokenChallenge:
    """The challenge that box and gateway compute by themselves; a server's is ignored.

    The redemption context is empty and the origin is `<measure>.<week>.invalid`, so that a token is bound
    to measure and week, by its key and by its challenge.
    """
    return TokenChallenge(
        issuer_name=issuer, redemption_context=b"", origin_info=f"{measure}.{str(week).lower()}.invalid"
    )


def read_directory(payload: bytes, week: Week) -> Directory:
    """Read a directory whose signature has been verified.

    Raises:
        BadDirectoryError: another form or week, times that are not the week's, or a repeated key.
    """
    try:
        found = msgspec.json.decode(payload, type=Directory)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDirectoryError(str(error)) from error
    if found.v != DIRECTORY_VERSION or found.week != str(week):
        raise BadDirectoryError(f"this is version {found.v} for week {found.week}")
    _check(found, week)
    return found


def _check(found: Directory, week: Week) -> None:
    zone = ZoneInfo(found.zone)
    times = (to_ms(week.start(zone)), to_ms(week.end(zone)), to_ms(week.closes(zone)))
    if (found.starts_ms, found.ends_ms, found.closes_ms) != times:
        raise BadDirectoryError("its times are not those of the week")
    if sorted(key.measure for key in found.token_keys) != sorted(taken.name for taken in found.measures):
        raise BadDirectoryError("not exactly one token key for each measure")
    if REGION in {dimension for taken in found.measures for dimension in taken.grid} and not found.regions:
        raise BadDirectoryError("a measure by region, but no regions")
