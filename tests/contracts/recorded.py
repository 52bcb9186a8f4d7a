"""A life of a store, call by call: what was asked of it, and what it answered.

A life is played once over SQLite with every call written down, then the same calls are played over
PostgreSQL, each with the same values, and must answer the same.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests import engines


@dataclass
class Call:
    """One call of a method, and its answer: a value, or the name of what it raised."""

    name: str
    values: tuple[Any, ...]
    named: dict[str, Any]
    answer: Any = None


@dataclass
class Turn:
    """The calls of one transaction or one look; `kept` says whether the transaction was committed."""

    kind: str
    calls: list[Call] = field(default_factory=list)
    kept: bool = True


def _answer(call: Callable[[], Any]) -> Any:
    """A method's answer with what it would give one by one; refusals by their names."""
    found = call()
    return list(found) if isinstance(found, Iterator) else found


class _Recording:
    """A transaction or look that writes down what is asked of it."""

    def __init__(self, over: Any, calls: Callable[[], list[Call]]) -> None:
        self._over, self._calls = over, calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._over, name)

        def called(*values: Any, **named: Any) -> Any:
            call = Call(name, values, named)
            self._calls().append(call)
            try:
                call.answer = _answer(lambda: method(*values, **named))
            except Exception as error:
                call.answer = type(error).__name__
                raise
            return iter(call.answer) if _gives_one_by_one(method) else call.answer

        return called


def _gives_one_by_one(method: Any) -> bool:
    return "Iterator" in str(inspect.signature(method).return_annotation)


class RecordedStore:
    """A store of which every call is written down in `turns`."""

    def __init__(self, over: Any) -> None:
        self.over = over
        self.turns: list[Turn] = []
        self.asked = {"close"}

    @property
    def storage(self) -> Any:
        return getattr(self.over, "storage", None) or self.over._storage

    def write(self, work: Callable[[Any], Any]) -> Any:
        return self._write("write", work)

    def write_beside(self, work: Callable[[Any], Any]) -> Any:
        return self._write("write_beside", work)

    def _write(self, kind: str, work: Callable[[Any], Any]) -> Any:
        turn = Turn(kind)
        self.turns.append(turn)
        try:
            return getattr(self.over, kind)(lambda tx: work(_Recording(tx, lambda: turn.calls)))
        except BaseException:
            turn.kept = False
            raise

    def read(self) -> Any:
        return _Recording(self.over.read(), lambda: self._next("read"))

    def _next(self, kind: str) -> list[Call]:
        """Where a call is written down that is asked outside transactions: between them, in its turn."""
        self.turns.append(Turn(kind))
        return self.turns[-1].calls

    def close(self) -> None:
        self.over.close()

    def turn(self) -> Any:
        self.asked.add("turn")
        return self.over.turn()

    def __getattr__(self, name: str) -> Any:
        return getattr(_Recording(self.over, lambda: self._next("store")), name)

    def names(self) -> set[str]:
        """The methods that were called."""
        return (
            {call.name for turn in self.turns for call in turn.calls}
            | {turn.kind for turn in self.turns}
            | self.asked
        )


class _BrokenOffError(Exception):
    """A transaction that was broken off when it was recorded is broken off again."""


def replay(turns: list[Turn], store: Any) -> None:
    """Ask the same of another store, and see that each answer is the same."""
    for turn in turns:
        if turn.kind == "store":
            _again(turn, store)
        elif turn.kind == "read":
            _again(turn, store.read())
        else:
            _write_again(turn, getattr(store, turn.kind))


def _write_again(turn: Turn, write: Callable[[Callable[[Any], None]], None]) -> None:
    def work(tx: Any) -> None:
        _again(turn, tx)
        if not turn.kept:
            raise _BrokenOffError

    try:
        write(work)
    except _BrokenOffError:
        assert not turn.kept


def _again(turn: Turn, over: Any) -> None:
    for call in turn.calls:
        method = getattr(over, call.name)
        try:
            answer = _answer(lambda m=method, c=call: m(*c.values, **c.named))
        except Exception as error:  # noqa: BLE001 (it is compared with what was raised before)
            answer = type(error).__name__
        assert answer == call.answer, f"{turn.kind}: {call.name}{call.values}{call.named}"


def methods(*protocols: type) -> set[str]:
    """The names of all methods that the protocols promise."""
    return {
        name
        for protocol in protocols
        for base in protocol.__mro__
        for name, value in vars(base).items()
        if inspect.isfunction(value) and not name.startswith("_") and base.__module__.startswith("headend.")
    }


def rows(store: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, in the declared columns; sums of several strands are added up."""
    with engines.raw(engines.where(store)) as connection:
        return {
            table: sorted(
                (tuple(row) for row in connection.execute(_select(table, sorted(columns)))), key=repr
            )
            for table, columns in engines.columns(connection).items()
        }


def _select(table: str, columns: list[str]) -> str:
    if table == "order_sums":
        return (
            "SELECT month, state, display, sum(orders), sum(payable), sum(credited) FROM order_sums "
            "GROUP BY month, state, display HAVING sum(orders) <> 0"
        )
    if table == "agent_sums":
        return "SELECT agent, sum(boxes) FROM agent_sums GROUP BY agent HAVING sum(boxes) <> 0"
    wanted = ", ".join(f'"{name}"' for name in columns)
    return f'SELECT {wanted} FROM "{table}"'
