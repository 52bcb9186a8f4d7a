"""The frame of a side: what the composition root needs to know of billing, analytics and console alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from flask import Blueprint

from headend.kit.jobs import Job


@dataclass(frozen=True)
class PagePart:
    """One page that a side offers to the console: a title, who may see it, and its rendered inside.

    `render` takes the query's arguments and gives safe HTML; `roles` are the names of roles. The console
    serves it at /console/<path>. It keeps the arguments in its audit, so they never hold a title.
    """

    path: str
    title: str
    roles: frozenset[str]
    render: Callable[[dict[str, str]], str]


class LetThrough(Protocol):
    """Bytes that disclosure has cleared, as far as this floor knows them; the console insists on its type."""

    @property
    def payload(self) -> bytes:
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


@dataclass(frozen=True)
class Download:
    """A file that a side offers: `make` takes the query's arguments and gives what has been cleared.

    The console serves it at /console/<path> and writes recipient, purpose and SHA-256 to its
    audit before a byte leaves. The side's own page parts link to it, with the arguments that it takes.
    """

    path: str
    title: str
    roles: frozenset[str]
    make: Callable[[dict[str, str]], Attachment]


@dataclass(frozen=True)
class Tile:
    """One figure on the console's overview."""

    label: str
    value: str
    note: str = ""
    alarm: bool = False


@dataclass(frozen=True)
class Side:
    """A side as the composition root serves it.

    `metrics` gives samples (name, labels, value) for Prometheus; `tiles` gives the overview's figures for
    a set of roles; `ready` raises if the side cannot serve; `close` lets go of its database.
    """

    name: str
    blueprints: tuple[Blueprint, ...]
    jobs: list[Job]
    pages: list[PagePart]
    tiles: Callable[[frozenset[str]], list[Tile]]
    metrics: Callable[[], list[tuple[str, dict[str, str], float]]]
    ready: Callable[[], None]
    close: Callable[[], None]
    flush: Callable[[], None] = field(default=lambda: None)
    downloads: list[Download] = field(default_factory=list)
