"""The catalogue: offers in force, checked whole, signed, and published under a rising version."""

import csv
import io
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing.store import BillingTx
from shared import dsse
from shared.errors import StbError
from shared.genres import ORDERED_GENRES
from shared.named import Catalogue, Offer, encode

_NUMBERS = ("version", "price_cents", "vat_bp", "window_hours", "valid_from_ms", "valid_to_ms")


class BadCatalogueError(StbError):
    """Offers that cannot be published; the message names every bad row, and nothing is half imported."""


def read_offers(raw: bytes, form: str) -> list[Offer]:
    """Read offers from JSON (an array of objects) or CSV (a header row with the same names).

    Raises:
        BadCatalogueError: with a line for every bad row.
    """
    rows = _csv_rows(raw) if form == "csv" else _json_rows(raw)
    offers, faults = [], []
    for number, row in enumerate(rows, 1):
        try:
            offers.append(check_offer(msgspec.convert(row, Offer)))
        except (msgspec.ValidationError, BadCatalogueError) as error:
            faults.append(f"row {number}: {error}")
    seen: set[str] = set()
    for number, offer in enumerate(offers, 1):
        if offer.offer in seen:
            faults.append(f"row {number}: offer {offer.offer} stands there twice")
        seen.add(offer.offer)
    if faults:
        raise BadCatalogueError("\n".join(faults))
    return offers


def _json_rows(raw: bytes) -> list[Any]:
    try:
        return msgspec.json.decode(raw, type=list[Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadCatalogueError(f"not a JSON array: {error}") from error


def _csv_rows(raw: bytes) -> list[Any]:
    try:
        reader = csv.DictReader(io.StringIO(raw.decode()))
        return [{name: _cell(name, value) for name, value in row.items() if value != ""} for row in reader]
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise BadCatalogueError(f"not a CSV of offers: {error}") from error


def _cell(name: str, value: str) -> str | int | None:
    if name == "genre" and value == "none":
        return None
    return int(value) if name in _NUMBERS and value.lstrip("-").isdigit() else value


def check_offer(offer: Offer) -> Offer:
    """What the form alone cannot say.

    Raises:
        BadCatalogueError: an unlisted genre, an end before the start, a subscription play with a price, or
            a rental without a window.
    """
    faults = (
        (offer.genre is not None and offer.genre not in ORDERED_GENRES, f"unlisted genre {offer.genre}"),
        (
            offer.valid_to_ms is not None and offer.valid_to_ms <= offer.valid_from_ms,
            "valid_to_ms must lie after valid_from_ms",
        ),
        (offer.mode == "subscription" and offer.price_cents != 0, "a subscription play has no price"),
        (offer.mode == "rent" and offer.window_hours == 0, "a rental needs window_hours"),
    )
    for fault, words in faults:
        if fault:
            raise BadCatalogueError(f"{offer.offer}: {words}")
    return offer


def publish_catalogue(
    tx: BillingTx, offers: list[Offer], key: Ed25519PrivateKey, now_ms: int
) -> tuple[int, bytes]:
    """Sign and store the offers as the next version of the catalogue; gives version and envelope.

    Raises:
        BadCatalogueError: an offer's version stands already with other terms.
    """
    for offer in offers:
        stored = tx.offer(offer.offer, offer.version)
        if stored is not None and stored != offer:
            raise BadCatalogueError(f"{offer.offer}: version {offer.version} stands already with other terms")
    last = tx.catalogue()
    version = 1 if last is None else last[0] + 1
    payload = encode(Catalogue(version=version, issued_ms=now_ms, offers=offers))
    envelope = dsse.sign(payload, dsse.PayloadType.CATALOGUE, key, dsse.key_id(key.public_key()))
    tx.add_catalogue(version, envelope, offers)
    tx.add_audit(now_ms, "billing", "catalogue published", str(version), f"{len(offers)} offers")
    return version, envelope
