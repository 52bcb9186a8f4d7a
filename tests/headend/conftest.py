from dataclasses import replace
from datetime import UTC, datetime
from unittest import mock

import pytest

from headend.app import open_headend
from headend.installation import Installation
from shared.system_clock import ClockSteerer
from tests import filled
from tests.builders import SETTINGS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


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
