"""When requests arrive: planned before anything is sent, whatever the answers do later."""

from collections.abc import Callable
from itertools import accumulate
from math import exp
from random import Random

SECOND_US = 1_000_000


def steady(rate: float, seconds: float, chance: Random) -> list[int]:
    """Moments in us of arrivals that know nothing of each other (a Poisson process), so many a second."""
    found, at = [], chance.expovariate(rate)
    while at < seconds:
        found.append(int(at * SECOND_US))
        at += chance.expovariate(rate)
    return found


def shaped(rate_at: Callable[[float], float], seconds: float, chance: Random, parts: int = 600) -> list[int]:
    """The same where the rate changes: `rate_at` gives it for each moment between 0 and 1 of the time."""
    rates = [rate_at((part + 0.5) / parts) for part in range(parts)]
    passed = [0.0, *accumulate(rate * seconds / parts for rate in rates)]
    found, due, part = [], chance.expovariate(1.0), 0
    while True:
        while part < parts and passed[part + 1] < due:
            part += 1
        if part == parts:
            return found
        inside = (due - passed[part]) / (passed[part + 1] - passed[part])
        found.append(int((part + inside) / parts * seconds * SECOND_US))
        due += chance.expovariate(1.0)


def bell(hour: float, peak: float, width: float) -> float:
    """How a peak of the evening rises and falls: 1 at its hour, of so many hours' standard deviation."""
    return exp(-(((hour - peak) / width) ** 2) / 2)
