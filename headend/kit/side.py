"""The frame of a side: what the composition root needs to know of billing, analytics and console alike."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

from flask import Blueprint

from headend.kit.hatches import Hatch
from headend.kit.jobs import Job
from headend.kit.language import N_, Language


class Group(StrEnum):
    """The parts of the console's menu, in their order; their names are messages."""

    BILLING = N_("Billing")
    BOXES = N_("Boxes")
    POPULARITY = N_("Popularity")
    PRIVACY = N_("Privacy")
    CONSOLE = N_("Console")


@dataclass(frozen=True)
class Visit:
    """One operator asking for one page, or sending one form.

    `args` are the query's arguments, or the form's fields without its token; `who` is the operator's name,
    for the audit of what a side changes; `csrf` is the token that each form of the page carries.
    """

    path: str
    args: Mapping[str, str]
    who: str
    role: str
    language: Language
    csrf: str = ""

    def arg(self, name: str) -> str:
        """An argument without white space around it; empty if there is none."""
        return self.args.get(name, "").strip()


@dataclass(frozen=True)
class Page:
    """A rendered page: safe HTML under the console's frame.

    `title` replaces that of its part; `about` are the accounts whose records it shows, which the console
    writes to its audit, so that it can be told who has looked at them; `back` is the path and the title of
    the page above it.
    """

    inside: str
    title: str = ""
    about: tuple[str, ...] = ()
    status: HTTPStatus = HTTPStatus.OK
    back: tuple[str, str] | None = None


@dataclass(frozen=True)
class PagePart:
    """One page that a side offers to the console: its title (a message), who may see it, and how it is made.

    `roles` are the names of roles. The console serves it at /console/<path>, and shows it in the menu if it
    has a group. It keeps the arguments in its audit, so they never hold a title.
    """

    path: str
    title: str
    roles: frozenset[str]
    render: Callable[[Visit], Page | str]
    group: Group | None = None


@dataclass(frozen=True)
class Done:
    """A form has done what it says: where to go (a console address), and what the audit is told of it."""

    where: str
    told: str = ""
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deed:
    """Something that a side lets operators do with a form, sent by POST to /console/<path>.

    `do` gives what has been done, or a page: a preview, a refusal with the form again, something that is
    shown this once. A side writes what it changes to its own audit, within the transaction that changes it.
    """

    path: str
    title: str
    roles: frozenset[str]
    do: Callable[[Visit], Done | Page]


Pieces = Callable[[], Iterator[bytes]]
"""A file too large for memory: called again, it gives the same bytes again."""


class LetThrough(Protocol):
    """Bytes that disclosure has cleared, as far as this floor knows them; the console insists on its type."""

    @property
    def payload(self) -> "bytes | Pieces":
        """What leaves."""
        ...

    @property
    def kind(self) -> str:
        """What it is."""
        ...

    @property
    def recipient(self) -> str:
        """To whom."""
        ...

    @property
    def purpose(self) -> str:
        """What for."""
        ...


@dataclass(frozen=True)
class Attachment:
    """One file as an operator gets it."""

    cleared: LetThrough
    filename: str
    content_type: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Download:
    """A file that a side offers: `make` gives what has been cleared.

    The console serves it at /console/<path> and writes recipient, purpose and SHA-256 to its
    audit before a byte leaves. The side's own page parts link to it, with the arguments that it takes.
    """

    path: str
    title: str
    roles: frozenset[str]
    make: Callable[[Visit], Attachment]


@dataclass(frozen=True)
class Search:
    """What answers the search box in the head of every page of those roles.

    `path` is a deed's if `is_form` (what is typed then stands in no address), else a page's; `argument` is
    what it takes, `label` a message that says what may be typed.
    """

    path: str
    argument: str
    label: str
    roles: frozenset[str]
    is_form: bool = False


@dataclass(frozen=True)
class Tile:
    """One figure on the console's overview, in the visit's language; `href` is the page that tells more."""

    label: str
    value: str
    note: str = ""
    alarm: bool = False
    href: str = ""


@dataclass(frozen=True)
class Side:
    """A side as the composition root serves it.

    `metrics` gives samples (name, labels, value) for Prometheus; `tiles` gives the overview's figures for
    who looks; `measured` what its database tells of itself; `ready` raises if the side cannot serve; `close`
    lets go of its database; `hatches` are the addresses that are answered before Flask, by their path.
    """

    name: str
    blueprints: tuple[Blueprint, ...]
    jobs: list[Job]
    pages: list[PagePart]
    tiles: Callable[[Visit], list[Tile]]
    metrics: Callable[[], list[tuple[str, dict[str, str], float]]]
    ready: Callable[[], None]
    close: Callable[[], None]
    flush: Callable[[], None] = field(default=lambda: None)
    measured: Callable[[], list[tuple[str, float]]] = field(default=list)
    downloads: list[Download] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    hatches: dict[str, Hatch] = field(default_factory=dict)
