"""What a release says: the table of noisy values, and the signed manifest over it.

Both are stored and handed out as exact bytes; a release never changes.
"""

import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from shared import dsse
from shared.dsse import PayloadType
from shared.errors import StbError
from shared.register import Measure

TABLE_VERSION = 1


class BadReleaseError(StbError):
    """A release's table or manifest has another form, or they do not belong together."""


class NoisyMeasure(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measure's noisy counters.

    Attributes:
        name: The measure.
        kind: one-minute, timed or untimed.
        grid: Its dimensions.
        quota: B.
        volume_minutes: V of a timed measure, else 0.
        rho_micro: The cost in millionths.
        sigma: sqrt(B / (2 rho)).
        noise_scale: The scale of the noise on each counter: sigma, or 16 sigma of a timed measure.
        cells: The values of each cell, in the grid's order.
        amounts: A noisy counter for each cell, negative ones as drawn; of a timed measure the sum of k.
        rests: Of a timed measure the noisy sum of 16 - k for each cell, else empty.
    """

    name: str
    kind: str
    grid: list[str]
    quota: int
    volume_minutes: int
    rho_micro: int
    sigma: float
    noise_scale: float
    cells: list[list[str]]
    amounts: list[int]
    rests: list[int]


class ReleaseTable(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A week's release; estimates are computed from this and nothing else.

    `boxes` are all boxes by region, rounded to 10; `issued` and `accepted` are tokens by measure.
    """

    v: int = TABLE_VERSION
    week: str
    profile: str
    register: str
    simulated: bool
    regions: list[str]
    boxes: dict[str, int]
    accounts_asked: int
    issued: dict[str, int]
    accepted: dict[str, int]
    measures: list[NoisyMeasure]


class ManifestMeasure(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the manifest says of a measure."""

    name: str
    kind: str
    quota: int
    volume_minutes: int
    rho_micro: int
    sigma: float
    noise_scale: float
    issued: int
    accepted: int


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The signed statement about a release; hashes are SHA-256 in hex, times Unix milliseconds.

    `budget_spent_micro` is what the ledger holds for all weeks, this one included.
    """

    v: int = TABLE_VERSION
    week: str
    profile: str
    register_version: str
    register: str
    simulated: bool
    drawn_ms: int
    measures: list[ManifestMeasure]
    rho_micro: int
    budget_spent_micro: int
    budget_cap_micro: int
    directory_sha256: str
    totals_sha256: str
    table_sha256: str


def described(measure: Measure, issued: int, accepted: int) -> ManifestMeasure:
    """What a manifest says of a measure, with the tokens that were issued for it and those that came."""
    return ManifestMeasure(
        name=measure.name,
        kind=measure.kind.value,
        quota=measure.quota,
        volume_minutes=measure.volume_minutes,
        rho_micro=measure.rho_micro,
        sigma=measure.sigma,
        noise_scale=measure.noise_scale,
        issued=issued,
        accepted=accepted,
    )


def sha256(content: bytes) -> str:
    """The SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def read_table(table: bytes) -> ReleaseTable:
    """Read a stored table.

    Raises:
        BadReleaseError: it has another form.
    """
    try:
        return msgspec.json.decode(table, type=ReleaseTable)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReleaseError(f"no release table: {error}") from error


def sign_manifest(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """The manifest in its envelope (DSSE, payload type MANIFEST)."""
    keyid = dsse.key_id(key.public_key())
    return dsse.sign(msgspec.json.encode(manifest), PayloadType.MANIFEST, key, keyid)


def read_manifest(envelope: bytes, key: Ed25519PublicKey) -> Manifest:
    """Verify a manifest's signature and read it.

    Raises:
        BadReleaseError: another signature or form.
    """
    try:
        payload = dsse.verify(envelope, PayloadType.MANIFEST, key)
        return msgspec.json.decode(payload, type=Manifest)
    except (dsse.DsseError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReleaseError(f"no manifest of this installation: {error}") from error


def verify_release(manifest: bytes, table: bytes, key: Ed25519PublicKey) -> tuple[Manifest, ReleaseTable]:
    """Check that manifest and table belong together, and read both.

    Raises:
        BadReleaseError: the signature, the table's hash or the week does not fit.
    """
    said = read_manifest(manifest, key)
    if said.table_sha256 != sha256(table):
        raise BadReleaseError("the table is not the one that the manifest was signed for")
    figures = read_table(table)
    if figures.week != said.week:
        raise BadReleaseError("manifest and table are of different weeks")
    return said, figures
