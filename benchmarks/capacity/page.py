"""Puts tables into docs/capacity.md, between its marks, and plots beside it."""

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.capacity import measured, recorded, tables
from benchmarks.capacity.arrivals import BIN_S
from benchmarks.capacity.model import Model
from benchmarks.growth.sized import Size
from benchmarks.growth.turns import Cost
from benchmarks.nodes import figures as nodes

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"


class NoMarksError(ValueError):
    """The page has no place for a table."""


def model() -> Model:
    """The model over what is recorded."""
    return Model(measured.read(), recorded.arrivals().usual, recorded.growth())


def made() -> dict[str, str]:
    """Every table by the name of its marks."""
    of, seen = model(), recorded.arrivals()
    first, last = (int((one - recorded.EVENING[0]).total_seconds()) // BIN_S for one in recorded.OUTAGE)
    boxes, weeks = (sizes_of(found) for found in (of.growth.boxes, of.growth.weeks))
    return {
        "requests": tables.requests(of),
        "needs": tables.needs(of),
        "limits": tables.limits(of),
        "jobs": tables.jobs(of),
        "disk": tables.disk(of),
        "profiles": tables.profiles(of),
        "postgresql": tables.postgresql(nodes.read()),
        "postgresql-rows": tables.postgresql_rows(nodes.read()),
        "storm": tables.storm(seen.evening, seen.storm, first, last),
        "growth-boxes": tables.growth(of.growth.boxes, boxes, [f"{one.boxes:,} boxes" for one in boxes]),
        "growth-weeks": tables.growth(of.growth.weeks, weeks, [one.name.partition(", ")[2] for one in weeks]),
    }


def sizes_of(found: list[Cost]) -> list[Size]:
    """The sizes that were measured, the smallest first."""
    return sorted({one.size for one in found})


def filled(page: str, content: Mapping[str, str]) -> str:
    """The page with each table between its marks.

    Raises:
        NoMarksError: a table has no place.
    """
    for name, text in content.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, times = marks.subn(lambda found, text=text: f"{found[1]}\n{text}\n\n{found[2]}", page)
        if times != 1:
            raise NoMarksError(name)
    return page


def write() -> None:
    """Bring the page's tables up to date."""
    PAGE.write_text(filled(PAGE.read_text(), made()))
