"""Plant each bug of the anonymous path in a copy of the packages, and see that the tests it names fail there.

    python -m tests.mutants.privacy              all of them
    python -m tests.mutants.privacy WORD …       those whose name holds one of the words

Ends with 1 if a bug survives, or if its place is no longer in the source; see `planting`.
"""

import sys

from tests.mutants.planting import judge_all
from tests.mutants.privacy_plants import MUTANTS

if __name__ == "__main__":
    sys.exit(judge_all(MUTANTS, sys.argv[1:]))
