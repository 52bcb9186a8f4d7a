from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.headend.analytics.builders import Town, make_town, over


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = make_town(tmp_path)
    yield made
    made.side.close()


@pytest.fixture
def open_town(town: Town) -> Town:
    """A town whose first week is over, so that its fragments are taken."""
    town.publish()
    town.clock.advance_to(over())
    return town
