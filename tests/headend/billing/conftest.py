import pytest

from tests.builders import SigningBox, billing_store, offer


@pytest.fixture
def store(tmp_path):
    store = billing_store(
        tmp_path,
        offer(),
        offer("film-2", price_cents=399, display="class"),
        offer("bought", mode="buy", window_hours=0, price_cents=1299),
        offer("included", mode="subscription", price_cents=0),
    )
    yield store
    store.close()


@pytest.fixture
def box(store):
    return SigningBox(store).enrolled()
