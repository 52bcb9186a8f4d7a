import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from headend.installation import Installation
from tests import engines

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


HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)
ROOM = 4 << 30
"""Bytes that have to be free there; a container may have next to nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Put temporary folders into memory where there is room: tests mostly wait for the disk to sync."""
    config.in_memory = None
    if config.option.basetemp is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        config.in_memory = config.option.basetemp = tempfile.mkdtemp(prefix="stb-tests-", dir=MEMORY)


def pytest_unconfigure(config):
    """Give the memory back."""
    if config.in_memory:
        shutil.rmtree(config.in_memory, ignore_errors=True)


@pytest.fixture(scope="session", autouse=engines.OVER_POSTGRES)
def _installations_over_postgres():
    """With TEST_ENGINE=postgresql whoever makes an installation in this process makes it on PostgreSQL."""
    create = Installation.create.__func__

    def over_postgres(cls, folder, settings):
        named = settings.databases
        databases = {side: named.get(side) or engines.fresh(side) for side in engines.SCHEMAS}
        return create(cls, folder, replace(settings, databases=databases))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Installation, "create", classmethod(over_postgres))
        engines.watch_opened(patch)
        yield


@pytest.fixture(autouse=engines.OVER_POSTGRES)
def _nothing_is_left_on_the_server(_installations_over_postgres):
    """A test's stores are closed and its databases dropped, whatever it left."""
    with engines.tidied():
        yield


LONGEST = ("journeys", "fuzz", "campaigns", "load")
"""Rooms whose tests take longest: they are begun first, so that no core waits for the other at the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What shares a fixture stays on one core, a file's tests or those that look at the town.

    What is about SQLite's own file is left out when the run is over PostgreSQL.
    """
    for item in items:
        group = "town" if "town" in item.fixturenames else item.path.relative_to(HERE).as_posix()
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.relative_to(HERE).parts[0] not in LONGEST)
    if engines.OVER_POSTGRES:
        for item in items:
            for mark in item.iter_markers("sqlite"):
                item.add_marker(pytest.mark.skip(reason=f"SQLite only: {mark.kwargs['why']}"))


@pytest.fixture(scope="session")
def server() -> str:
    """A PostgreSQL; it may be missing on somebody's own machine, never where the tests decide."""
    try:
        return engines.server()
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL can be started here: {error}")


@pytest.fixture
def clusters():
    """Two PostgreSQL servers of the test's own; the first runs, and the second is nothing yet."""
    from tests.clusters import Cluster

    made = [Cluster(), Cluster()]
    made[0].create()
    yield made
    for one in made:
        one.remove()


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
