"""Discrete Gaussian noise from OpenDP, for whole vectors of counters.

No seed, ever: OpenDP takes its randomness from the system. Imported by the release's own process only, the
library itself inside the function, because it is large and nothing else needs it.
"""

import math

from shared.errors import StbError
from shared.register import SIXTEENTHS, Kind, Measure

_SLACK = 1e-9  # relative; scale and sensitivity are square roots in floating point


class NoiseError(StbError):
    """The noise would not cost what the register declares, or the library refused; nothing was drawn."""


def sensitivity(measure: Measure) -> float:
    """The L2 sensitivity of a measure's counters when one account's fragments are replaced by `none`.

    One-minute and untimed: at most B counters change by 1. Timed: in each of at most B cells k and 16 - k
    are added, and k² + (16 - k)² is at most 16².
    """
    return math.sqrt(measure.quota) * (SIXTEENTHS if measure.kind is Kind.TIMED else 1)


def add_noise(measure: Measure, counters: list[int]) -> list[int]:
    """The counters with discrete Gaussian noise of scale `measure.noise_scale` on each.

    Canonne, Kamath and Steinke (2020), as OpenDP 0.16 implements it. Negative values stand as they are.

    Raises:
        NoiseError: OpenDP's own account of the cost differs from the declared one.
    """
    import opendp.prelude as dp  # noqa: PLC0415 (263 MiB, needed by the release's own process only)

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64"), size=len(counters)), dp.l2_distance(T="f64")
    measurement = dp.m.make_gaussian(*space, measure.noise_scale, MO="ZeroConcentratedDivergence")
    declared = measure.rho_micro / 1_000_000
    cost = measurement.map(sensitivity(measure))  # type: ignore[no-untyped-call] # OpenDP leaves it untyped
    if not math.isclose(cost, declared, rel_tol=_SLACK):
        raise NoiseError(f"measure {measure.name} would not cost the declared rho of {declared}")
    noisy: list[int] = measurement(counters)
    return noisy
