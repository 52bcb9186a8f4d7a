from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box_agent.fakes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "state")
    yield made
    made.agent._store.park()
