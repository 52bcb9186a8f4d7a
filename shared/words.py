"""What households and operators are told about measures, in their languages: notices/, one file a language.

The files have one shape; a box reads one when it has something to say in it, once.
"""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

LANGUAGES = ("en", "nl", "fr")


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the notice: its heading, its paragraphs, and whether the measures are listed after them."""

    head: str
    text: list[str]
    measures: bool = False


class NoticeWords(Struct, frozen=True, forbid_unknown_fields=True):
    """The notice's fixed sentences; `foot` takes the version and the measures' digest."""

    title: str
    parts: list[Part]
    foot: str


class CellWords(Struct, frozen=True, forbid_unknown_fields=True):
    """How one fact is told, by the kind of its measure; `everything` is the cell of no grid.

    `named` puts what a measure is called before what is said of it.
    """

    named: str
    minute: str
    order: str
    timed: str
    untimed: str
    nothing: str
    everything: str
    no_region: str


class ExplainWords(Struct, frozen=True, forbid_unknown_fields=True):
    """How a measure or a profile is explained: sentences with places for its figures."""

    minute: str
    order: str
    timed: str
    untimed: str
    quota: str
    cells: str
    cells_by_region: str
    example: str
    purpose: str
    owner: str
    noise_boxes: str
    noise_hours: str
    cost: str
    reader: str
    profile: str
    spans: str
    facts: str
    not_taken: str


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """One language's words; every map is by the value that it words.

    `names` and `measures` say what a measure is called, and what a box sends for it; `values` are the values
    of all closed dimensions, which share no name with two meanings.
    """

    language: str
    name: str
    decimal: str
    thousands: str
    notice: NoticeWords
    cells: CellWords
    explain: ExplainWords
    names: dict[str, str]
    measures: dict[str, str]
    purposes: dict[str, str]
    owners: dict[str, str]
    values: dict[str, str]

    def figure(self, value: float, digits: int = 0) -> str:
        """A number as this language writes it."""
        marks = str.maketrans({",": self.thousands, ".": self.decimal})
        return f"{value:,.{digits}f}".translate(marks)


@cache
def words_of(language: str) -> Words:
    """The words of a language (ISO 639-1); in English where there are none."""
    name = language if language in LANGUAGES else "en"
    text = files("shared").joinpath("notices", f"{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Words)
