"""Sellers: who bills in a country, as its bills have to say; changes hold for later bills only."""

import re

from headend.billing.documents.document import Seller
from headend.billing.laws import COUNTRIES
from headend.billing.store import BillingTx
from shared.errors import StbError

_VAT_NUMBERS = {"NL": r"NL\d{9}B\d{2}", "BE": r"BE[01]\d{9}"}
_MOST = 100


class BadSellerError(StbError):
    """Particulars that cannot stand on a bill; the message says which."""


def check_seller(seller: Seller) -> Seller:
    """Refuse what could not stand on a bill (EN 16931 BT-27, BT-31, BT-35 to BT-40).

    Raises:
        BadSellerError: an unknown country, an empty or overlong particular, or no VAT number of that country.
    """
    if seller.country not in COUNTRIES:
        raise BadSellerError(f"unknown country {seller.country!r}; there are {', '.join(COUNTRIES)}")
    for name in ("name", "street", "postcode", "city"):
        value = getattr(seller, name)
        if not 1 <= len(value) <= _MOST or not value.strip() or not value.isprintable():
            raise BadSellerError(f"{name} must be 1 to {_MOST} printable characters")
    if re.fullmatch(_VAT_NUMBERS[seller.country], seller.vat_number) is None:
        raise BadSellerError(f"{seller.vat_number!r} is no VAT number of {seller.country}")
    return seller


def set_seller(tx: BillingTx, seller: Seller, who: str, now_ms: int) -> None:
    """Bill in the seller's name from now on; the first one of a country also stands on its earlier bills.

    Raises:
        BadSellerError: see `check_seller`; or it is the one that stands.
    """
    check_seller(seller)
    stands = [(from_ms, one) for from_ms, one in tx.sellers() if one.country == seller.country]
    if stands and stands[-1][1] == seller:
        raise BadSellerError("that is the seller already")
    # A bill that has been issued must never say another seller when it is made again: strictly after all.
    newest = max((one.issued_ms for one in tx.invoices(None, 1)), default=0)
    after = max([now_ms, *(from_ms + 1 for from_ms, _ in stands), *([newest + 1] if stands else [])])
    tx.add_seller(seller, after)
    tx.add_audit(now_ms, who, "seller set", seller.country, seller.name)
