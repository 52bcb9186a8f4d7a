"""The statistical audit of the anonymous figures, long: noise, sensitivity, coverage, ranking, widths, error.

    python -m tests.audit
    python -m tests.audit --parts noise sensitivity

Towns come from fixed seeds, which are printed; the noise is OpenDP's own and has no seed. Each check's bound
is such that a right implementation fails anywhere in the run by chance at most once in a million runs.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter

from tests.audit import error, gaussian, lean, sensitivity, sentences, studies, widths
from tests.audit.bounds import LONG, Verdict

CHANCE = LONG / 4
"""Noise, coverage with ranks, and error share the run's chance; nothing else leaves anything to it."""


def noise(_: float) -> Iterator[Verdict]:
    """Part one."""
    yield from gaussian.audit(chance=CHANCE)


def moved(_: float) -> Iterator[Verdict]:
    """Part two."""
    yield from sensitivity.audit()


def towns(scale: float) -> Iterator[Verdict]:
    """Parts three to five: the same towns tell coverage, ranks and half-widths."""
    wanted = tuple(
        replace(one, towns=max(2, round(one.towns * scale)), quarters=round(one.quarters * scale))
        for one in studies.LONG_STUDIES
    )
    found = dict(studies.run(wanted, say))
    for name, played in found.items():
        for line in sentences.drawing(name, played):
            say(line)
    yield from sentences.of_studies(found, CHANCE)
    yield from widths.audit(found)


def leaning(scale: float) -> Iterator[Verdict]:
    """Part three: consent that leans."""
    found = []
    with multiprocessing.get_context("spawn").Pool() as pool:
        for size, populations, trials in ((5_000, 10, 40), (20_000, 4, 40)):
            asked = list(lean.asked(size, max(2, round(populations * scale)), trials))
            say(f"leaning consent, {size:,} boxes: populations of seeds {asked[0][0]} to {asked[-1][0]}")
            found.append(lean.together(pool.map(lean.play, asked, chunksize=1)))
    yield from sentences.leanings(found)


def errors(scale: float) -> Iterator[Verdict]:
    """Part six."""
    yield from error.audit(max(20, round(400 * scale)), chance=CHANCE)


PARTS: dict[str, Callable[[float], Iterator[Verdict]]] = {
    "noise": noise,
    "sensitivity": moved,
    "error": errors,
    "leaning": leaning,
    "towns": towns,
}
_START = perf_counter()


def say(line: str) -> None:
    """Print progress."""
    print(f"{perf_counter() - _START:6.0f} s  {line}", flush=True)


def _line(one: Verdict) -> str:
    return f"{'holds ' if one.holds else 'BROKEN'}  {one.part}: {one.sentence}: {one.found}"


def main() -> int:
    """Run the audit; 1 if anything that must hold did not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of towns; 1 is the audit")
    asked = parser.parse_args()
    verdicts: list[Verdict] = []
    for name in asked.parts:
        say(f"{name} begins")
        for one in PARTS[name](asked.scale):
            verdicts.append(one)
            say(_line(one))
    for one in verdicts:
        if not one.holds:
            print(_line(one))
    broken = sum(not one.holds for one in verdicts)
    print(f"{len(verdicts) - broken} of {len(verdicts)} sentences hold")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
