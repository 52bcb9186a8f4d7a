import pytest

from tests.headend.billing.pages.desks import lived


@pytest.fixture
def place(tmp_path):
    office, box = lived(tmp_path)
    yield office, box
    office.store.close()


@pytest.fixture
def office(place):
    return place[0]


@pytest.fixture
def box(place):
    return place[1]
