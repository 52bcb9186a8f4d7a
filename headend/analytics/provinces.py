"""The provinces of the Netherlands and Belgium as squares of a tile map, declared in `provinces.toml`."""

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct


class Province(Struct, frozen=True, forbid_unknown_fields=True):
    """One province: its ISO 3166-2 code, its letters on the map, its place, and what it may be called."""

    code: str
    short: str
    column: int
    row: int
    names: list[str]

    @property
    def country(self) -> str:
        """The country's two letters."""
        return self.code[:2]


class _Declared(Struct, frozen=True, forbid_unknown_fields=True):
    province: list[Province]


@cache
def provinces() -> tuple[Province, ...]:
    """All provinces that are declared."""
    text = files("headend.analytics").joinpath("provinces.toml").read_text("utf-8")
    return tuple(msgspec.convert(tomllib.loads(text), _Declared).province)


def provinces_of(region: str) -> list[Province]:
    """The provinces that a region is called after; none if any part of its name is none.

    >>> [one.short for one in provinces_of("noord-holland")], [one.short for one in provinces_of("BE-WLG")]
    (['NH'], ['LIE'])
    >>> [one.short for one in provinces_of("Groningen + Fryslan")], provinces_of("north")
    (['GR', 'FR'], [])
    """
    found = [_by_name().get(_plain(part)) for part in region.split("+")]
    return [one for one in found if one is not None] if all(found) else []


@cache
def _by_name() -> dict[str, Province]:
    return {_plain(name): one for one in provinces() for name in (one.code, *one.names)}


def _plain(name: str) -> str:
    """Letters and digits alone, without accents and case."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())
