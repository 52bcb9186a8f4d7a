import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("night", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """A town that has lived through one released week, with everything that it left behind."""
    from tests.town import play

    played = play(tmp_path_factory.mktemp("town"))
    yield played
    played.stop()


@pytest.fixture
def installation(tmp_path):
    """A small, fresh, simulated installation that serves, with its relay; nobody lives there yet."""
    from tests.town import Installed

    made = Installed(tmp_path)
    yield made
    made.stop()
