"""The catalogue: offers in force, checked whole, signed, and published under a rising version."""

import csv
import io
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.billing.documents.document import UNPRINTABLE
from headend.billing.laws import COUNTRIES, law_of
from headend.billing.store import BillingTx
from shared import dsse
from shared.errors import StbError
from shared.genres import ORDERED_GENRES
from shared.named import Catalogue, Offer, Promotion, encode

_NUMBERS = (
    "version",
    "price_cents",
    "vat_bp",
    "window_hours",
    "valid_from_ms",
    "valid_to_ms",
    "preview_minutes",
    "credit_cents",
    "per_account",
)
_ODD_TEXT = "id and title hold only what can be printed"
T = TypeVar("T", Offer, Promotion)


class BadCatalogueError(StbError):
    """Offers that cannot be published; the message names every bad row, and nothing is half imported."""


def read_offers(raw: bytes, form: str) -> list[Offer]:
    """Read offers from JSON (an array of objects) or CSV (a header row with the same names).

    Raises:
        BadCatalogueError: with a line for every bad row.
    """
    return _read_all(raw, form, Offer, check_offer)


def read_promotions(raw: bytes, form: str) -> list[Promotion]:
    """Read promotions as offers are read; in a CSV, `kinds` are separated by spaces.

    Raises:
        BadCatalogueError: with a line for every bad row.
    """
    return _read_all(raw, form, Promotion, check_promotion)


def _read_all(raw: bytes, form: str, kind: type[T], check: Callable[[T], T]) -> list[T]:
    rows = _csv_rows(raw) if form == "csv" else _json_rows(raw)
    found, faults, seen = [], [], set()
    # A CSV's first row is its header, so that rows are numbered as a spreadsheet numbers them.
    for number, row in enumerate(rows, 2 if form == "csv" else 1):
        try:
            one = check(msgspec.convert(row, kind))
            if _name(one) in seen:
                faults.append(f"row {number}: {_name(one)} stands there twice")
            seen.add(_name(one))
            found.append(one)
        except (msgspec.ValidationError, BadCatalogueError) as error:
            faults.append(f"row {number}: {error}")
    if faults:
        raise BadCatalogueError("\n".join(faults))
    return found


def _name(one: Offer | Promotion) -> str:
    return one.offer if isinstance(one, Offer) else one.promotion


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


def _cell(name: str, value: str) -> str | int | list[str] | None:
    if name == "kinds":
        return value.split()
    if name == "genre" and value == "none":
        return None
    return int(value) if name in _NUMBERS and value.lstrip("-").isdigit() else value


def check_offer(offer: Offer) -> Offer:
    """What the form alone cannot say.

    Raises:
        BadCatalogueError: an unlisted genre, an end before the start, a subscription play with a price, a
            rental without a window, or a text that cannot be printed.
    """
    faults = (
        (UNPRINTABLE.search(offer.offer + offer.title) is not None, _ODD_TEXT),
        (offer.genre is not None and offer.genre not in ORDERED_GENRES, f"unlisted genre {offer.genre}"),
        (
            offer.valid_to_ms is not None and offer.valid_to_ms <= offer.valid_from_ms,
            "valid_to_ms must lie after valid_from_ms",
        ),
        (offer.mode == "subscription" and offer.price_cents != 0, "a subscription play has no price"),
        (offer.mode == "rent" and offer.window_hours == 0, "a rental needs window_hours"),
        (offer.mode == "buy" and offer.window_hours != 0, "a bought title has no window"),
        (
            offer.price_cents == 0 and offer.preview_minutes != 0,
            "what costs nothing needs no preview",
        ),
    )
    for fault, words in faults:
        if fault:
            raise BadCatalogueError(f"{offer.offer}: {words}")
    return offer


def check_promotion(promotion: Promotion) -> Promotion:
    """What the form alone cannot say.

    Raises:
        BadCatalogueError: an end before the start, a kind twice, or a text that cannot be printed.
    """
    if UNPRINTABLE.search(promotion.promotion):
        raise BadCatalogueError(f"{promotion.promotion!r}: {_ODD_TEXT}")
    if promotion.valid_to_ms <= promotion.valid_from_ms:
        raise BadCatalogueError(f"{promotion.promotion}: valid_to_ms must lie after valid_from_ms")
    if len(set(promotion.kinds)) != len(promotion.kinds):
        raise BadCatalogueError(f"{promotion.promotion}: a kind stands there twice")
    return promotion


def publish_catalogue(
    tx: BillingTx,
    offers: list[Offer],
    key: Ed25519PrivateKey,
    now_ms: int,
    promotions: list[Promotion] | None = None,
) -> tuple[int, bytes]:
    """Sign and store the offers and promotions as the catalogue's next version; gives version and envelope.

    Raises:
        BadCatalogueError: a version stands already with other terms, or no country's bills are in a currency.
    """
    named: list[Offer | Promotion] = [*offers, *(promotions or [])]
    currencies = {law_of(tx, country, now_ms).currency for country in COUNTRIES}
    faults = [
        f"{_name(one)}: version {one.version} stands already with other terms"
        for one in named
        if _stored(tx, one) not in (None, one)
    ]
    faults += [
        f"{_name(one)}: no bills are in {one.currency}; there are {', '.join(sorted(currencies))}"
        for one in named
        if one.currency not in currencies
    ]
    if faults:
        raise BadCatalogueError("\n".join(faults))
    last = tx.catalogue()
    version = 1 if last is None else last[0] + 1
    catalogue = Catalogue(version=version, issued_ms=now_ms, offers=offers, promotions=promotions or [])
    envelope = dsse.sign(encode(catalogue), dsse.PayloadType.CATALOGUE, key, dsse.key_id(key.public_key()))
    tx.add_catalogue(version, envelope, offers, promotions or [])
    said = f"{len(offers)} offers, {len(promotions or [])} promotions"
    tx.add_audit(now_ms, "billing", "catalogue published", str(version), said)
    return version, envelope


def _stored(tx: BillingTx, one: Offer | Promotion) -> Offer | Promotion | None:
    if isinstance(one, Offer):
        return tx.offer(one.offer, one.version)
    return tx.promotion(one.promotion, one.version)
