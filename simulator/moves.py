"""Boxes change hands while the town lives: some go to another account, some are given back and resold.

The headend is told by its own commands, as an operator would; then the workers are told, for the truth.
"""

import json
from collections.abc import Callable, Iterator
from random import Random

from simulator.processes import Headend

WHO = "town"
EACH = 2
"""So many boxes change hands each time."""
Tell = Callable[..., list[object]]
"""Tells all workers to do something, and gives their answers."""


class Moves:
    """What happens to boxes between two steps of the world."""

    def __init__(self, headend: Headend, tell: Tell, accounts: list[str], random: Random) -> None:
        self._headend = headend
        self._folder = str(headend.folder)
        self._tell = tell
        self._accounts = accounts
        self._random = random

    def move(self, at_ms: int) -> None:
        """Bind a few boxes to other accounts."""
        to = {}
        for key, box, held in self._found("movable"):
            to[key] = self._other(held)
            self._headend.command("box", "move", self._folder, box, to[key], "--who", WHO)
        self._tell("moved", to, at_ms)

    def resell(self, at_ms: int) -> None:
        """Release a few boxes, and enrol them anew for other accounts."""
        to = {}
        for key, box, held in self._found("saleable"):
            account = self._other(held)
            self._headend.command("box", "release", self._folder, box, "--who", WHO)
            words = ("account", "code", self._folder, account, "--box", box, "--json")
            (code,) = json.loads(self._headend.command(*words))[account]
            to[key] = (account, code)
        self._tell("resold", to, at_ms)

    def _found(self, which: str) -> Iterator[tuple[str, str, str]]:
        parts: list[list[tuple[str, str, str]]] = self._tell(which, EACH)  # type: ignore[assignment] # what the fleet answers
        found = [one for part in parts for one in part]
        return iter(self._random.sample(found, min(EACH, len(found))))

    def _other(self, held: str) -> str:
        return self._random.choice([account for account in self._accounts if account != held])
