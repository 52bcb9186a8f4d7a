"""The token keys as any client of Privacy Pass would look for them (RFC 9578 section 4).

Boxes do not ask here: they take keys from the signed directory of the week, which they compare over two
lines. This answer is for whoever checks that the issuer says the same to everybody.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from flask import Blueprint, Response

from headend.billing.issuing import TokenKeys
from shared.register import Profile, in_force
from shared.tokens import TOKEN_TYPE
from shared.weeks import Week

PATH = "/.well-known/private-token-issuer-directory"
CONTENT_TYPE = "application/private-token-issuer-directory"
REQUEST_URI = "/billing/v1/tokens"
WEEKS = 2
"""The running week's keys and those of the next, as far as they are made."""
_CACHE = "public, max-age=3600"


def issuer_directory(keys: TokenKeys, taken: Profile, week: Week, zone: ZoneInfo) -> bytes:
    """The directory in JSON: `not-before` is the week's first second in Unix time, keys are base64url."""
    found = [
        {
            "token-type": TOKEN_TYPE,
            "token-key": base64.urlsafe_b64encode(spki).decode(),
            "not-before": int(one.start(zone).timestamp()),
        }
        for one in (week.plus(number) for number in range(WEEKS))
        for spki in keys.public([measure.name for measure in in_force(taken, one.monday()).measures], one)
    ]
    return msgspec.json.encode({"issuer-request-uri": REQUEST_URI, "token-keys": found})


def make_issuer_directory(
    keys: TokenKeys, taken: Profile, now: Callable[[], datetime], zone: ZoneInfo
) -> Blueprint:
    """The one well-known address."""
    blueprint = Blueprint("issuer", __name__)

    @blueprint.get(PATH)
    def answer() -> Response:
        body = issuer_directory(keys, taken, Week.of(now(), zone), zone)
        return Response(body, content_type=CONTENT_TYPE, headers={"Cache-Control": _CACHE})

    return blueprint
