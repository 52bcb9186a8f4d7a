"""Load a real headend to saturation and beyond, and hold its books against what it acknowledged.

    python -m tests.load [saturation|evening|storm …] [--json FILE]

LOAD_SECONDS, LOAD_BOXES, LOAD_POPULATION and LOAD_STORM_BOXES make it longer or larger.
"""

import argparse
import os
from pathlib import Path

import msgspec

from tests.load import evening, saturation, storm
from tests.load.field import Extent

SCENARIOS = {"saturation": saturation.run, "evening": evening.run, "storm": storm.run}


def extent() -> Extent:
    """What the environment asks for."""
    usual = Extent()
    return Extent(
        seconds=float(os.environ.get("LOAD_SECONDS", usual.seconds)),
        boxes=int(os.environ.get("LOAD_BOXES", usual.boxes)),
        population=int(os.environ.get("LOAD_POPULATION", usual.population)),
        storm_boxes=int(os.environ.get("LOAD_STORM_BOXES", usual.storm_boxes)),
        seed=int(os.environ.get("LOAD_SEED", usual.seed)),
    )


def scenario(name: str) -> str:
    """A scenario's name.

    Raises:
        ArgumentTypeError: there is none of that name.
    """
    if name not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SCENARIOS)}")
    return name


def main(words: list[str] | None = None) -> int:
    """Play the scenarios that are named, or all; 1 if something acknowledged is lost, doubled or missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("scenario", nargs="*", type=scenario)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    asked = parser.parse_args(words)
    report = {name: SCENARIOS[name](extent()) for name in asked.scenario or SCENARIOS}
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return int(_has_faults(report))


def _has_faults(found: object) -> bool:
    if not isinstance(found, dict):
        return False
    return bool(found.get("faults")) or any(map(_has_faults, found.values()))


if __name__ == "__main__":
    raise SystemExit(main())
