"""Plant each bug of the agent's doors in a copy of the packages, and see that the fuzzer finds it there.

    python -m tests.mutants.agent              all of them
    python -m tests.mutants.agent WORD …       those whose name holds one of the words

Ends with 1 if a bug survives, or if its place is no longer in the source; see `planting`.
"""

import sys

from tests.mutants.agent_plants import MUTANTS
from tests.mutants.planting import judge_all

if __name__ == "__main__":
    sys.exit(judge_all(MUTANTS, sys.argv[1:]))
