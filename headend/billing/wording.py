"""The words of a subscriber's rights: one file a language, all with one shape."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.clock import from_ms

LANGUAGES = ("en", "fr", "nl")
_WORD = re.compile("[a-z][a-z-]*")
_SYMBOLS = {"EUR": "€"}


class TableWords(Struct, frozen=True, forbid_unknown_fields=True):
    """What a table holds, and what for, as its subscriber is told."""

    name: str
    purpose: str


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's words; every map is by the value that it words.

    `name` is what the language calls itself, `money` how an amount is written, `erasure` and `page` the
    sentences, `kept` the periods as the register of fields says them.
    """

    language: str
    name: str
    months: Annotated[list[str], Meta(min_length=12, max_length=12)]
    money: str
    erasure: dict[str, str]
    page: dict[str, str]
    countries: dict[str, str]
    authorities: dict[str, str]
    display: dict[str, str]
    states: dict[str, str]
    reasons: dict[str, str]
    documents: dict[str, str]
    disputes: dict[str, str]
    alarms: dict[str, str]
    audit: dict[str, str]
    basis: dict[str, str]
    recipients: dict[str, str]
    kept: dict[str, str]
    tables: dict[str, TableWords]

    def reason(self, text: str) -> str:
        """Why an order stands as it does, with each word that there is one for in this language."""
        return _WORD.sub(lambda match: self.reasons.get(match[0], match[0]), text)

    def day(self, at_ms: int, zone: str) -> str:
        """The calendar day of an instant (Unix milliseconds) in a zone, such as 7 October 2026."""
        local = from_ms(at_ms).astimezone(ZoneInfo(zone))
        return f"{local.day} {self.months[local.month - 1]} {local.year}"

    def moment(self, at_ms: int, zone: str) -> str:
        """The day with its local hour and minute."""
        return f"{self.day(at_ms, zone)}, {from_ms(at_ms).astimezone(ZoneInfo(zone)):%H:%M}"

    def amount(self, cents: int, currency: str) -> str:
        """Cents as they are written in this language."""
        units, rest = divmod(abs(cents), 100)
        symbol = _SYMBOLS.get(currency, currency)
        return ("\u2212" if cents < 0 else "") + self.money.format(
            symbol=symbol, units=units, cents=f"{rest:02}"
        )


@cache
def words_of(language: str) -> Words:
    """The words of a language (ISO 639-1); in English where there are none."""
    name = language if language in LANGUAGES else "en"
    text = files("headend.billing").joinpath("words", f"{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Words)
