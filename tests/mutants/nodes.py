"""Plant each bug of several nodes in a copy of the packages, and see that the tests it names fail there.

    python -m tests.mutants.nodes                all of them
    python -m tests.mutants.nodes WORD …         those whose name holds one of the words

Ends with 1 if a bug survives, or if its place is no longer in the source; see `planting`.
"""

import sys

from tests.mutants.node_plants import MUTANTS
from tests.mutants.planting import judge_all

if __name__ == "__main__":
    sys.exit(judge_all(MUTANTS, sys.argv[1:]))
