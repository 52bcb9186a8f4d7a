"""Overlapping tables made to agree: weighted least squares over the one-minute measures of viewing.

Genres by time shift, by daypart and by region each draw a minute of their own, with noise of their own, of
the same boxes: whatever they have in common, such as the genres alone, they estimate alike. Among all
figures that agree on what is shared, the ones nearest to the counters are taken, each counter weighing by
its noise and its drawing (Stone, Champernowne and Meade 1942; for noisy tables Hay, Rastogi, Miklau and Suciu
2010). Nothing is drawn again and no release changes.

A timed measure tells parts of minutes rather than of boxes, an untimed one tells reach, and ordered genres
tell orders: they estimate something else and are left as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

from headend.analytics.intervals import Spread
from shared.genres import genre_of_detail

Row = dict[int, float]
"""A sum of counters: for each of them how often it is taken."""
DEPENDENT = 1e-9
"""A constraint that the ones before it leave less room than this part of its own is one they imply."""


def _genre(detail: str) -> str:
    try:
        return genre_of_detail(detail)
    except KeyError:
        return ""  # a release of another register; no rule is made of it


_COARSER: dict[str, tuple[str, Callable[[str], str]]] = {"detail": ("genre", _genre)}
"""Dimensions of which each value belongs to one value of another dimension."""


@dataclass(frozen=True)
class Table:
    """One measure's summed counters; `noise` is the variance on each, `accepted` its tokens."""

    name: str
    grid: Sequence[str]
    cells: Sequence[Sequence[str]]
    amounts: Sequence[float]
    noise: float
    accepted: int


@dataclass(frozen=True)
class Counters:
    """The counters of several tables in one list, scaled to equal delivery.

    `noise` and `drawn` are variances of each: of its noise, and of the drawing if minutes came one by one;
    `tables` says where each table's counters end.
    """

    values: list[float]
    noise: list[float]
    drawn: list[float]
    tables: list[range]

    def value(self, row: Row) -> float:
        """What a sum of counters comes to."""
        return sum(taken * self.values[index] for index, taken in row.items())

    def noise_of(self, one: Row, other: Row) -> float:
        """The covariance of the noise on two sums."""
        return _dot(one, other, self.noise)

    def loosely(self, one: Row, other: Row) -> float:
        """The covariance of noise and drawing on two sums, if minutes came one by one: never too small."""
        return _dot(one, other, self._both)

    def drawn_of(self, one: "Sum", other: "Sum") -> float:
        """The covariance of the drawing on two sums, one minute for each box and table.

        Of each table: the mean of products less the product of the means, as if all boxes watched alike. For
        the variance of a sum that is a bound: that boxes differ only makes it less.
        """
        first, second = one.drawn, other.drawn
        means = sum(
            (mean * second[table] / self._drawn_whole[table])
            for table, mean in first.items()
            if table in second and self._drawn_whole[table]
        )
        return _dot(one.row, other.row, self.drawn) - means

    @cached_property
    def _both(self) -> list[float]:
        return [noise + drawn for noise, drawn in zip(self.noise, self.drawn, strict=True)]

    @cached_property
    def _table_of(self) -> list[int]:
        return [number for number, table in enumerate(self.tables) for _ in table]

    @cached_property
    def _drawn_whole(self) -> list[float]:
        return [sum(self.drawn[table.start : table.stop]) for table in self.tables]

    def sum_of(self, row: Row) -> "Sum":
        """A sum of counters with what its drawing comes to in each table, worked out once."""
        found: dict[int, float] = {}
        for index, taken in row.items():
            table = self._table_of[index]
            found[table] = found.get(table, 0.0) + taken * self.drawn[index]
        return Sum(row, found)


class Sum(NamedTuple):
    """A sum of counters, and its counters' variance of the drawing by table."""

    row: Row
    drawn: dict[int, float]


@dataclass(frozen=True)
class LinearSums:
    """Sums of reconciled counters that share a whole; `plain` are the same sums as released."""

    counters: Counters
    rows: list[Row]
    plain: list[Row]
    _spreads: dict[int, Spread] = field(default_factory=dict)

    @cached_property
    def values(self) -> list[float]:
        """The reconciled sums."""
        return [self.counters.value(row) for row in self.rows]

    @cached_property
    def _whole(self) -> Sum:
        return self.counters.sum_of(added((1.0, row) for row in self.rows))

    @cached_property
    def _plain_whole(self) -> Sum:
        return self.counters.sum_of(added((1.0, row) for row in self.plain))

    @cached_property
    def _whole_noise(self) -> float:
        return self.counters.noise_of(self._whole.row, self._whole.row)

    @cached_property
    def _whole_drawn(self) -> float:
        return self.counters.drawn_of(self._whole, self._whole)

    @cached_property
    def _plain_whole_drawn(self) -> float:
        return self.counters.drawn_of(self._plain_whole, self._plain_whole)

    @cached_property
    def _loosely(self) -> list[float]:
        return [self.counters.loosely(row, row) for row in self.rows]

    def _drawing(self, cell: Row, whole: Sum, whole_drawn: float, part: float) -> float:
        """The bound on the variance of the drawing on a cell less its part of the whole."""
        of, one = self.counters.drawn_of, self.counters.sum_of(cell)
        return max(0.0, of(one, one) - 2 * part * of(one, whole) + part**2 * whole_drawn)

    def spread(self, index: int) -> Spread:
        """How far a cell and its whole may move; exact for the noise, a bound for the drawing."""
        if index not in self._spreads:
            self._spreads[index] = self._spread(index)
        return self._spreads[index]

    def _spread(self, index: int) -> Spread:
        row, whole = self.rows[index], sum(self.values)
        part = min(1.0, max(0.0, self.values[index] / whole)) if whole > 0 else 0.0
        after = self._drawing(row, self._whole, self._whole_drawn, part)
        before = self._drawing(self.plain[index], self._plain_whole, self._plain_whole_drawn, part)
        return Spread(
            self.counters.noise_of(row, row),
            self.counters.noise_of(row, self._whole.row),
            self._whole_noise,
            min(1.0, after / before) if before else 1.0,
            max(0.0, after - before),
        )

    def apart(self, one: int, other: int) -> float:
        """The variance of the difference of two cells."""
        between = self.counters.loosely(self.rows[one], self.rows[other])
        return self._loosely[one] + self._loosely[other] - 2 * between


@dataclass(frozen=True)
class Reconciled:
    """One table's part of what was reconciled, in its own counts; `together` are the names of all tables."""

    counters: Counters
    rows: list[Row]
    plain: list[Row]
    together: tuple[str, ...]

    def sums(self, cells: Sequence[Sequence[int]]) -> LinearSums:
        """Sums over cells of the table that share a whole: one for each list of their indexes."""
        return LinearSums(
            self.counters,
            [added((1.0, self.rows[index]) for index in indexes) for indexes in cells],
            [added((1.0, self.plain[index]) for index in indexes) for indexes in cells],
        )


def reconcile(tables: Sequence[Table]) -> dict[str, Reconciled]:
    """Tables of one-minute measures of the same weeks, made to agree on all that they share, by name.

    Every table must have accepted tokens. What is delivered of each is exact and public, so counters are
    scaled to equal delivery. The weights are each counter's noise and, for its drawing, its own value if that
    is positive: known before anything is reconciled.
    """
    counters = _counters(tables)
    weights = [noise + drawn for noise, drawn in zip(counters.noise, counters.drawn, strict=True)]
    rows = agree(weights, list(constraints(tables, counters.tables)))
    names = tuple(table.name for table in tables)
    found = {}
    for table, places in zip(tables, counters.tables, strict=True):
        own = table.accepted / tables[0].accepted
        found[table.name] = Reconciled(
            counters,
            [{at: own * taken for at, taken in rows[index].items()} for index in places],
            [{index: own} for index in places],
            names,
        )
    return found


def _counters(tables: Sequence[Table]) -> Counters:
    values: list[float] = []
    noise: list[float] = []
    drawn: list[float] = []
    ranges = []
    for table in tables:
        scale = tables[0].accepted / table.accepted
        ranges.append(range(len(values), len(values) + len(table.amounts)))
        values += [scale * amount for amount in table.amounts]
        noise += [scale**2 * table.noise] * len(table.amounts)
        drawn += [scale**2 * max(0.0, amount) for amount in table.amounts]
    return Counters(values, noise, drawn, ranges)


def agree(weights: Sequence[float], rules: Sequence[Row]) -> list[Row]:
    """Each counter as a sum of all, so that every rule comes to zero and the counters move least.

    Least in squares, divided by `weights` (their variances). One rule after the other is met exactly while
    the ones before stay met, which comes to the same as all at once: x - V C'(C V C')^-1 C x.
    """
    rows: list[Row] = [{index: 1.0} for index in range(len(weights))]
    for rule in rules:
        carried = added((taken, rows[index]) for index, taken in rule.items())
        room = sum(taken * weights[index] * carried.get(index, 0.0) for index, taken in rule.items())
        if room <= DEPENDENT * sum(taken**2 * weights[index] for index, taken in rule.items()):
            continue
        for index, taken in carried.items():
            _add(rows[index], -weights[index] * taken / room, carried)
    return rows


def constraints(tables: Sequence[Table], places: Sequence[range]) -> Iterator[Row]:
    """What must come to zero: for each shared set of dimensions, each table's sums less the first's."""
    known = [_dimensions(table) for table in tables]
    shared = dict.fromkeys(one & other for one, other in combinations(known, 2))
    for dimensions in shared:
        holders = [index for index, has in enumerate(known) if dimensions <= has]
        first, *others = [_sums_by(tables[index], places[index], dimensions) for index in holders]
        for other in others:
            if first.keys() == other.keys():
                for label, cells in first.items():
                    yield dict.fromkeys(cells, 1.0) | dict.fromkeys(other[label], -1.0)


def _dimensions(table: Table) -> frozenset[str]:
    return frozenset(table.grid) | {_COARSER[name][0] for name in table.grid if name in _COARSER}


def _sums_by(
    table: Table, places: range, dimensions: frozenset[str]
) -> dict[frozenset[tuple[str, str]], list[int]]:
    found: dict[frozenset[tuple[str, str]], list[int]] = {}
    for index, values in zip(places, table.cells, strict=True):
        label = frozenset(pair for pair in _told(table.grid, values) if pair[0] in dimensions)
        found.setdefault(label, []).append(index)
    return found


def _told(grid: Sequence[str], values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, value in zip(grid, values, strict=True):
        yield name, value
        if name in _COARSER:
            coarser, of = _COARSER[name]
            yield coarser, of(value)


def added(parts: Iterator[tuple[float, Row]] | Sequence[tuple[float, Row]]) -> Row:
    """Sums of counters, each times a factor, as one."""
    total: Row = {}
    for factor, row in parts:
        _add(total, factor, row)
    return total


def _add(total: Row, factor: float, row: Row) -> None:
    for index, taken in row.items():
        total[index] = total.get(index, 0.0) + factor * taken


def _dot(one: Row, other: Row, variances: Sequence[float]) -> float:
    if len(other) < len(one):
        one, other = other, one
    return sum(taken * other[index] * variances[index] for index, taken in one.items() if index in other)
