from pathlib import Path

import pytest

from tests.box_agent.fakes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "state")
