"""Cost of a unit of work against the number of boxes, and against the weeks of history.

Each size is an installation of its own, filled before; kinds of work take turns in all of them. What is
compared is CPU time a unit; wall time, in which the disk shares, is printed beside it. The first turn warms
up.

    python -m benchmarks.growth --boxes 1000,10000,100000,1000000 --weeks 1,13,52,104 --homes 10000

What is above the goal is marked; this measures and does not judge. `GROWTH_FOLDER` says where the
installations stand meanwhile: a million boxes take about 4 GB, and as much memory while they are filled.
"""

import argparse
import os
import tempfile
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.growth.sized import Size
from benchmarks.growth.turns import Cost, measure
from benchmarks.growth.units import jobs, units
from benchmarks.growth.world import World, build
from shared.system_clock import SystemClock

GOAL = 1.2


def numbers(text: str) -> list[int]:
    """Read `1000,10000`."""
    return sorted({int(one) for one in text.split(",")})


def compare(folder: Path, sizes: list[Size], turns: int) -> list[Cost]:
    """Build the sizes and measure them; what each took to build and holds is printed."""
    key, clock, worlds = Ed25519PrivateKey.generate(), SystemClock(), list[World]()
    for size in sizes:
        began = clock.monotonic()
        worlds.append(build(folder, size, key))
        billing, analytics = (worlds[-1].bytes_of(side) / 1e6 for side in ("billing", "analytics"))
        took = clock.monotonic() - began
        print(
            f"{size.name}: billing {billing:,.1f} MB, analytics {analytics:,.1f} MB, {took:.0f} s", flush=True
        )
    found = measure(worlds, list(units(worlds[0])), turns) + measure(worlds, list(jobs()), 1)
    for world in worlds:
        world.headend.close()
    return found


def tell(found: list[Cost]) -> int:
    """Print a line for each kind and size; how many are above the goal."""
    above, last = 0, ""
    print(f"{'':26}{'':>26}{'CPU us':>10}{'wall us':>10}{'ratio':>7}")
    for one in found:
        over = one.ratio > GOAL
        above += over
        name = one.unit if one.unit != last else ""
        last = one.unit
        mark = "  above the goal" if over else ""
        print(f"{name:26}{one.size.name:>26}{one.cpu_us:10,.0f}{one.wall_us:10,.0f}{one.ratio:7.2f}{mark}")
    return above


def main() -> int:
    """Measure both directions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=numbers, default=[1_000, 100_000])
    parser.add_argument("--weeks", type=numbers, default=[1, 104])
    parser.add_argument("--homes", type=int, default=1_000, help="boxes whose history grows")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    asked = parser.parse_args()
    above, told = 0, {}
    for name, sizes in (
        ("boxes", [Size(boxes, 1) for boxes in asked.boxes]),
        ("weeks", [Size(asked.homes, weeks) for weeks in asked.weeks]),
    ):
        with tempfile.TemporaryDirectory(prefix="stb-growth-", dir=os.environ.get("GROWTH_FOLDER")) as folder:
            found = compare(Path(folder), sizes, asked.turns)
        above += tell(found)
        told[name] = found
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    print(f"{above} above {GOAL}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
