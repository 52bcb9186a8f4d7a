"""Publishing the week's directory: billing's token keys and analytics' sealing key in one signed file."""

import base64
from zoneinfo import ZoneInfo

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.installation import Settings
from shared import dsse
from shared.clock import to_ms
from shared.directory import Directory, TokenKey, describe
from shared.errors import StbError
from shared.notice_version import notice_version
from shared.register import REGION, in_force, profile, register_hash
from shared.tokens import TOKEN_TYPE
from shared.weeks import Week

REGION_MAP = 1


class NoRegionsError(StbError):
    """A measure goes by region, and the settings list no regions: every box would refuse the week."""


def make_directory(
    settings: Settings,
    week: Week,
    token_keys: dict[str, bytes],
    ohttp_keys: bytes,
    key: Ed25519PrivateKey,
) -> bytes:
    """The week's directory as a signed envelope; the caller keeps the first one that it made.

    `token_keys` maps each measure in force in that week to its key (SubjectPublicKeyInfo, DER). One past its
    review date is not published.

    Raises:
        NoRegionsError: a measure goes by region, and there are none.
    """
    zone = ZoneInfo(settings.zone)
    taken = in_force(profile(settings.profile), week.monday())
    by_region = [measure.name for measure in taken.measures if REGION in measure.grid]
    if by_region and not settings.regions:
        raise NoRegionsError(f"{', '.join(by_region)} by region, but the installation has no regions")
    directory = Directory(
        week=str(week),
        zone=settings.zone,
        issuer=settings.issuer,
        profile=taken.name,
        register=register_hash(),
        notice=notice_version(),
        starts_ms=to_ms(week.start(zone)),
        ends_ms=to_ms(week.end(zone)),
        closes_ms=to_ms(week.closes(zone)),
        measures=describe(taken),
        token_keys=[
            TokenKey(measure.name, TOKEN_TYPE, base64.b64encode(token_keys[measure.name]).decode())
            for measure in taken.measures
        ],
        ohttp_keys=base64.b64encode(ohttp_keys).decode(),
        region_map=REGION_MAP,
        regions=list(settings.regions),
        areas=settings.areas,
    )
    return dsse.sign(
        msgspec.json.encode(directory), dsse.PayloadType.DIRECTORY, key, dsse.key_id(key.public_key())
    )
