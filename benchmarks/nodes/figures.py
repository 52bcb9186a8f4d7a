"""What is measured of one node and of two, and its record, from which docs/capacity.md has its figures."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec

RECORD = Path(__file__).parents[1] / "capacity" / "nodes.json"


@dataclass(frozen=True)
class Rate:
    """What a round gave: items a second; processor us an item, of whom; how many cores were in use."""

    a_second: float
    node_us: float
    database_us: float
    generator_us: float
    cores: float

    @property
    def servers_us(self) -> float:
        """Processor us an item without the generator's."""
        return self.node_us + self.database_us


@dataclass(frozen=True)
class Pair:
    """Medians of one kind's rounds: one node, two, and what two are to one in each turn.

    `ratio` is of items a second as they came, `per_cpu` of items for a processor second of nodes and database
    alone, the generator's taken out. `part` is each node's share of a core, 0 for all that there is.
    """

    kind: str
    part: float
    one: Rate
    two: Rate
    ratio: float
    per_cpu: float


@dataclass(frozen=True)
class Size:
    """A table: its rows, a row's bytes without and with all indexes."""

    rows: int
    row_bytes: float
    whole_bytes: float


@dataclass(frozen=True)
class Found:
    """A run: pairs in their order, and tables by side and name, if they were asked for."""

    pairs: list[Pair]
    sizes: dict[str, dict[str, Size]] = field(default_factory=dict)


def paired(kind: str, part: float, turns: list[tuple[Rate, Rate]]) -> Pair:
    """The medians of turns of one node and two."""
    return Pair(
        kind,
        part,
        _middle([one for one, _ in turns]),
        _middle([two for _, two in turns]),
        median(two.a_second / one.a_second for one, two in turns),
        median(one.servers_us / two.servers_us for one, two in turns),
    )


def _middle(rates: list[Rate]) -> Rate:
    return Rate(*(median(getattr(rate, name) for rate in rates) for name in Rate.__dataclass_fields__))


def record(found: Found, path: Path) -> None:
    """Write a run down."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def read(path: Path = RECORD) -> Found:
    """The last run that was written down."""
    return msgspec.json.decode(path.read_bytes(), type=Found)
