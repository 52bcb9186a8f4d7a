from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from headend.app import open_headend
from headend.installation import Installation
from shared.system_clock import ClockSteerer
from tests import filled
from tests.builders import SETTINGS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def made_keys():
    """As many token keys as four weeks have: real ones, made once for all tests that make many."""
    return [rsa.generate_private_key(65537, 2048) for _ in range(12)]


@pytest.fixture(scope="module")
def few_token_keys(made_keys):
    """Weeks that lie far apart get the same keys: making one takes a tenth of a second."""
    turns = cycle(made_keys)
    with mock.patch.object(rsa, "generate_private_key", side_effect=lambda *_: next(turns)):
        yield


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """An installation with orders, bills and operators, all of whose jobs are done; nobody serves it."""
    folder = tmp_path_factory.mktemp("healthy")
    ClockSteerer(folder / "clock", NOW)
    settings = replace(SETTINGS, simulated=True, clock=str(folder / "clock"), first_week="2026-W48")
    made = Installation.create(folder / "headend", settings)
    headend = open_headend(made)
    with mock.patch.dict(filled.DONE, clear=True):
        filled.fill_billing(headend)
    headend.console.operators.add_operator("adam", "admin", "correct horse battery", must_change=False)
    headend.jobs.run_due()
    headend.close()
    return made.folder
