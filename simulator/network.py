"""A network that loses, doubles, delays and breaks down, wrapped around a box's two lines.

Each wrapper has its own chances and its own stale copies: the two lines of a box share nothing here either.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Final

from box_agent.lines import AnonymousLine, Answer, LineDownError, NamedLine, RefusedError
from shared.errors import StbError

_NOTICED = {
    "loss": "the request was lost",
    "answer": "the answer was lost",
    "delay": "the request is late",
}
_KEPT_STALE = 4  # delayed requests of one line; the network forgets the oldest of more


class BadFaultsError(StbError):
    """Faults of another form than `none`, `default`, `harsh` or `loss=0.02,double=0.1`."""


@dataclass(frozen=True)
class Faults:
    """What may happen to one exchange, as probabilities.

    Attributes:
        loss: The request never arrives.
        answer: The request arrives, its answer does not: the other end has seen it.
        double: The request arrives twice.
        delay: The sender gives up, and the request arrives later, after a younger one.
        outages: 1 if homes lose their network for days at times (`simulator.town.outages`), else 0.
    """

    loss: float = 0.0
    answer: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    outages: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read the name of a preset, or single chances beside which nothing happens.

        Raises:
            BadFaultsError: Neither, an unknown fault, or a chance that is not from 0 to 1.
        """
        if text in PRESETS:
            return PRESETS[text]
        chances = dict(_chance(part) for part in text.split(","))
        if sum(chance for name, chance in chances.items() if name != "outages") > 1:
            raise BadFaultsError("the chances add up to more than 1")
        return replace(cls(), **chances)

    def draw(self, random: Random) -> str | None:
        """The fault that the next exchange meets, or None."""
        drawn = random.random()
        for name in ("loss", "answer", "double", "delay"):
            drawn -= getattr(self, name)
            if drawn < 0:
                return name
        return None


PRESETS: Final = {
    "none": Faults(),
    "default": Faults(loss=0.01, answer=0.01, double=0.01, delay=0.01, outages=1),
    "harsh": Faults(loss=0.1, answer=0.1, double=0.05, delay=0.05, outages=1),
}


def _chance(part: str) -> tuple[str, float]:
    name, _, text = part.partition("=")
    try:
        chance = float(text)
    except ValueError as error:
        raise BadFaultsError(f"{part!r} is neither a preset nor a fault with its chance") from error
    if name not in {field.name for field in fields(Faults)} or not 0 <= chance <= 1:
        raise BadFaultsError(f"{part!r}: a known fault, and a chance from 0 to 1")
    return name, chance


def _never_down() -> bool:
    return False


_Down = Callable[[], bool]
_Send = Callable[[], Answer]
"""One exchange, ready to be carried out, and again."""


class _Wire:
    """Carries exchanges out, or not, or twice, or late."""

    def __init__(
        self, random: Random, faults: Faults, down: Callable[[], bool], mishaps: Counter[str]
    ) -> None:
        self._random = random
        self._faults = faults
        self._down = down
        self._mishaps = mishaps
        self._stale: list[_Send] = []

    def carry(self, send: _Send) -> Answer:
        if self._faults.outages and self._down():
            self._mishaps["outage"] += 1
            raise LineDownError("no network")
        fault = self._faults.draw(self._random)
        if fault is not None:
            self._mishaps[fault] += 1
        if fault == "delay":
            self._stale = [*self._stale, send][-_KEPT_STALE:]
        if fault in {"double", "answer"}:
            _unheard(send)
        if fault in _NOTICED:
            raise LineDownError(_NOTICED[fault])
        return self._then_stale(send)

    def _then_stale(self, send: _Send) -> Answer:
        """The younger request first, then what was delayed: this is how they overtake each other."""
        try:
            return send()
        finally:
            stale, self._stale = self._stale, []
            for late in stale:
                _unheard(late)


def _unheard(send: _Send) -> None:
    """Carry out an exchange whose answer, or refusal, reaches nobody."""
    try:
        send()
    except (LineDownError, RefusedError):
        return


class FaultyNamedLine:
    """A `NamedLine` on which all of `faults` happen.

    Args:
        line: The line underneath.
        random: This line's own chances.
        faults: How probable each mishap is.
        down: Says whether the home has no network now; asked only if faults have outages.
        mishaps: Counts what happened, by fault; may be shared.
    """

    def __init__(
        self,
        line: NamedLine,
        random: Random,
        faults: Faults,
        down: _Down = _never_down,
        mishaps: Counter[str] | None = None,
    ) -> None:
        self._line = line
        self._wire = _Wire(random, faults, down, Counter() if mishaps is None else mishaps)

    def post(self, path: str, body: bytes) -> Answer:
        """See `NamedLine.post`; raises LineDownError for every mishap that the sender notices."""
        return self._wire.carry(lambda: self._line.post(path, body))

    def get(self, path: str, etag: str | None = None) -> Answer:
        """See `NamedLine.get`; likewise."""
        return self._wire.carry(lambda: self._line.get(path, etag))


class FaultyAnonymousLine:
    """An `AnonymousLine` on which all of `faults` happen; arguments as for `FaultyNamedLine`."""

    def __init__(
        self,
        line: AnonymousLine,
        random: Random,
        faults: Faults,
        down: _Down = _never_down,
        mishaps: Counter[str] | None = None,
    ) -> None:
        self._line = line
        self._wire = _Wire(random, faults, down, Counter() if mishaps is None else mishaps)

    def post_sealed(self, body: bytes) -> Answer:
        """See `AnonymousLine.post_sealed`; raises LineDownError for every mishap that the sender notices."""
        return self._wire.carry(lambda: self._line.post_sealed(body))

    def get_directory(self, week: str) -> Answer:
        """See `AnonymousLine.get_directory`; likewise."""
        return self._wire.carry(lambda: self._line.get_directory(week))


def within(outages: list[tuple[int, int]], at_ms: int) -> bool:
    """Whether an instant lies in one of the half-open intervals (Unix milliseconds)."""
    return any(start <= at_ms < end for start, end in outages)
