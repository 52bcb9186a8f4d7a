"""Fuzz the agent's doors, one after the other.

    python -m tests.fuzz              all of them, ten minutes each
    python -m tests.fuzz TARGET …     these

FUZZ_SECONDS is the time for each, FUZZ_SEED what the inputs follow from, FUZZ_FROM the number of the first.
Ends with 1 if something was found; it is told with its seed and a small input.
"""

import logging
import os
import secrets
import sys

from tests.fuzz.engine import fuzz
from tests.fuzz.targets import TARGETS

TEN_MINUTES = "600"


def main(words: list[str]) -> int:
    """Fuzz the targets of these names, or all; 1 if one failed."""
    seed = os.environ.get("FUZZ_SEED") or secrets.token_hex(4)
    seconds, first = float(os.environ.get("FUZZ_SECONDS", TEN_MINUTES)), int(os.environ.get("FUZZ_FROM", "0"))
    failed = 0
    logging.basicConfig(level=logging.CRITICAL)  # refusals are what most inputs come to
    for target in TARGETS:
        if words and target.name not in words:
            continue
        outcome = fuzz(target, seed, seconds, first)
        print(f"{target.name}: {outcome.inputs} inputs in {seconds:.0f} s, seed {seed}", flush=True)
        if outcome.found:
            failed += 1
            print(outcome.found, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
