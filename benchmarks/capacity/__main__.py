"""Capacity on paper: prints what the model says of the recorded figures; records them anew where asked.

    python -m benchmarks.capacity                       # the tables
    python -m benchmarks.capacity --measure "machine"   # measure costs, sizes and bytes: about six minutes
    python -m benchmarks.capacity --simulate            # play the week of 40,000 boxes, twice: some minutes
    python -m benchmarks.capacity --write               # tables into docs/capacity.md, plots beside it

What growing costs is recorded by `python -m benchmarks.growth --json benchmarks/capacity/growth.json`.
"""

import argparse

from benchmarks.capacity import measured, page, plots, recorded


def main() -> int:
    """Do what was asked, then print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", metavar="MACHINE", help="measure, and say on what in neutral words")
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--boxes", type=int, default=recorded.BOXES)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    if asked.measure:
        measured.record(asked.measure)
    if asked.simulate:
        recorded.record(recorded.simulate(asked.boxes))
    if asked.write:
        page.write()
        plots.write()
    for name, text in page.made().items():
        print(f"{name}\n\n{text}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
