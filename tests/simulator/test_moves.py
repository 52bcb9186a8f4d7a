import json
from pathlib import Path
from typing import Any

import pytest

from simulator.moves import EACH, Moves
from simulator.processes import Headend
from tests.simulator.seeded import seeded

Found = list[tuple[str, str, str]]
FOUND: list[Found] = [[("k1", "bx1", "A1"), ("k2", "bx2", "A2")], [("k3", "bx3", "A3")]]


class Told(Headend):
    """A headend that keeps what it is told, and makes a code for whoever asks."""

    def __init__(self) -> None:
        super().__init__(Path("town"))
        self.said: list[tuple[str, ...]] = []

    def command(self, *words: str, given: str = "") -> str:
        self.said.append((*words, given))
        return json.dumps({words[3]: [f"code-of-{words[3]}"]})


@pytest.fixture
def told() -> tuple[Told, list[tuple[Any, ...]], Moves]:
    headend, workers = Told(), list[tuple[Any, ...]]()

    def tell(what: str, *values: object) -> list[object]:
        workers.append((what, *values))
        return list(FOUND)

    return headend, workers, Moves(headend, tell, ["A1", "A2", "A3"], seeded(3))


def test_boxes_move_to_other_accounts_and_the_workers_are_told(
    told: tuple[Told, list[tuple[Any, ...]], Moves],
) -> None:
    headend, workers, moves = told
    moves.move(77)
    what, to, at_ms = workers[-1]
    assert (workers[0], what, at_ms, len(to)) == (("movable", EACH), "moved", 77, EACH)
    held = {key: (box, account) for part in FOUND for key, box, account in part}
    for (*words, _), (key, account) in zip(headend.said, to.items(), strict=True):
        box, before = held[key]
        assert words == ["box", "move", "town", box, account, "--who", "town"]
        assert account != before


def test_resold_boxes_are_released_before_their_codes_are_made(
    told: tuple[Told, list[tuple[Any, ...]], Moves],
) -> None:
    headend, workers, moves = told
    moves.resell(77)
    what, to, _ = workers[-1]
    assert (workers[0], what, len(to)) == (("saleable", EACH), "resold", EACH)
    assert [words[:2] for words in headend.said] == [("box", "release"), ("account", "code")] * EACH
    assert all(code == f"code-of-{account}" for account, code in to.values())
