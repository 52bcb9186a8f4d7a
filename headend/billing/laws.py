"""Laws: what billing takes from a country's law, as packaged or as the operator has set it.

The Netherlands and Belgium are two tax jurisdictions, although both have 21 % today: each has its own rates,
periods and wording.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.clock import from_ms
from shared.errors import StbError
from shared.named import Currency

COUNTRIES = ("NL", "BE")
DAY_MS = 86_400_000


class BadLawError(StbError):
    """Terms that cannot be billed by; the message says why."""


class Rates(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """The VAT rates from a day on, in basis points."""

    since: date
    bp: Annotated[list[Annotated[int, Meta(ge=0, le=10_000)]], Meta(min_length=1)]


class Law(Struct, frozen=True, forbid_unknown_fields=True):
    """One country's terms.

    `dispute_days` run from the bill, `decide_days` from the dispute, `tax_years` from the end of its year.
    Days are those of the calendar where the account is, see headend.billing.deadlines.
    """

    currency: Currency
    dispute_days: Annotated[int, Meta(ge=1, le=3660)]
    decide_days: Annotated[int, Meta(ge=1, le=366)]
    tax_years: Annotated[int, Meta(ge=1, le=30)]
    vat_rates: Annotated[list[Rates], Meta(min_length=1)]

    def rates_on(self, at_ms: int, zone: ZoneInfo) -> frozenset[int]:
        """The rates in force on an instant's day in a zone, in basis points; none before the first."""
        day = from_ms(at_ms).astimezone(zone).date()
        held = [rates for rates in self.vat_rates if rates.since <= day]
        return frozenset(max(held, key=lambda rates: rates.since).bp) if held else frozenset()


class LawBook(Protocol):
    """Where an operator's own terms stand."""

    def add_law(self, country: str, from_ms: int, terms: bytes) -> None:
        """Store a country's terms from an instant on."""
        ...

    def add_audit(self, at_ms: int, who: str, what: str, ref: str, detail: str) -> None:
        """Add a line to the audit."""
        ...

    def law(self, country: str, at_ms: int) -> bytes | None:
        """A country's terms at an instant, as JSON; None: as packaged."""
        ...


@cache
def packaged() -> Mapping[str, Law]:
    """The terms that come with the package, by country."""
    found = tomllib.loads(files("headend.billing").joinpath("laws.toml").read_text())
    return {country: msgspec.convert(terms, Law) for country, terms in found.items()}


def law_of(book: LawBook, country: str, at_ms: int) -> Law:
    """A country's terms at an instant: the operator's, else those packaged.

    Raises:
        BadLawError: no such country.
    """
    own = book.law(country, at_ms)
    if own is not None:
        return msgspec.json.decode(own, type=Law)
    try:
        return packaged()[country]
    except KeyError as error:
        raise BadLawError(f"no law for {country!r}; there are {', '.join(COUNTRIES)}") from error


def read_law(raw: bytes, country: str) -> bytes:
    """Check an operator's terms (TOML, as `laws.toml` has them for one country); gives them as JSON.

    Raises:
        BadLawError: not TOML, another form, or an unknown country.
    """
    if country not in COUNTRIES:
        raise BadLawError(f"no law for {country!r}; there are {', '.join(COUNTRIES)}")
    try:
        found: dict[str, Any] = tomllib.loads(raw.decode())
        return msgspec.json.encode(msgspec.convert(found, Law))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadLawError(f"not the terms of a country: {error}") from error


def set_law(book: LawBook, country: str, terms: bytes, who: str, now_ms: int) -> None:
    """Bill by these terms (as `read_law` gives them) from now on."""
    book.add_law(country, now_ms, terms)
    book.add_audit(now_ms, who, "law set", country, terms.decode())
