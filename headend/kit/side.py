"""The frame of a side: what the composition root needs to know of billing, analytics and console alike."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Blueprint

from headend.kit.jobs import Job


@dataclass(frozen=True)
class PagePart:
    """One page that a side offers to the console: a title, who may see it, and its rendered inside.

    `render` takes the query's arguments and gives safe HTML; `roles` are the names of roles.
    """

    path: str
    title: str
    roles: frozenset[str]
    render: Callable[[dict[str, str]], str]


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
    blueprint: Blueprint
    jobs: list[Job]
    pages: list[PagePart]
    tiles: Callable[[frozenset[str]], list[Tile]]
    metrics: Callable[[], list[tuple[str, dict[str, str], float]]]
    ready: Callable[[], None]
    close: Callable[[], None]
    flush: Callable[[], None] = field(default=lambda: None)
