"""The register of fields: every table's columns and every message's fields, with purpose and retention.

Declared in fields/, one file a place. The headend refuses to open a database with a column that is not
declared there.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Declared:
    """What is declared of one table or message."""

    name: str
    purpose: str
    basis: str
    retention: str
    recipients: tuple[str, ...]
    fields: frozenset[str]


@cache
def _declared() -> dict[str, dict[str, Declared]]:
    return {
        entry.name.removesuffix(".toml"): _place(tomllib.loads(entry.read_text()))
        for entry in files("shared").joinpath("fields").iterdir()
        if entry.name.endswith(".toml")
    }


def _place(entries: dict[str, dict[str, Any]]) -> dict[str, Declared]:
    return {
        name: Declared(
            name,
            entry["purpose"],
            entry["basis"],
            entry["retention"],
            tuple(entry["recipients"]),
            frozenset(entry["fields"]),
        )
        for name, entry in entries.items()
    }


def places() -> tuple[str, ...]:
    """Where fields stand: the databases of the sides and of the box, and the two lines."""
    return tuple(_declared())


def declared(place: str) -> dict[str, Declared]:
    """What is declared for a place, by table or message; empty for a place nobody declared."""
    return _declared().get(place, {})


def declared_columns(place: str) -> dict[str, frozenset[str]]:
    """The columns of a place's tables."""
    return {name: entry.fields for name, entry in declared(place).items()}
