from collections.abc import Iterator

import pytest

from tests import engines


@pytest.fixture
def fresh(server: str) -> Iterator[object]:
    """Makes databases, which are dropped afterwards."""
    made: list[str] = []

    def make(side: str) -> str:
        made.append(engines.fresh(side))
        return made[-1]

    yield make
    for url in made:
        engines.drop(url)


@pytest.fixture(scope="session")
def life(tmp_path_factory):
    """A year of billing over SQLite, with every call written down."""
    from tests.contracts.test_billing import play

    store = play(tmp_path_factory.mktemp("life"))
    yield store
    store.close()
