"""What the system does, in the sentences that the records share; they stand in facts.toml."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from headend.disclosure import Kind


class Activity(Struct, frozen=True, forbid_unknown_fields=True):
    """One processing activity: the places of its declared fields, whose they are, what may leave of it."""

    title: str
    purpose: str
    subjects: str
    places: list[str]
    kinds: list[Kind]
    note: str


class Facts(Struct, frozen=True, forbid_unknown_fields=True):
    """The sentences, and the activities."""

    flow: list[str]
    necessity: list[str]
    rights: list[str]
    security: list[str]
    recipients: str
    activities: list[Activity]


@cache
def facts() -> Facts:
    """They are read once."""
    text = files("headend.records").joinpath("facts.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Facts)
