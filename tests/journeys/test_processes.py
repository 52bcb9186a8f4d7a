"""Serving processes die together, and nobody serves on an old state."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import requests

from simulator.processes import _alive, free_port, wait_until

pytestmark = pytest.mark.journey


def silent(installation):
    try:
        requests.get(f"{installation.headend.url}/healthz", timeout=2)
    except requests.RequestException:
        return True
    return False


@pytest.mark.parametrize("which", ["supervisor", "worker"])
def test_when_one_is_killed_the_other_stops_serving(installation, which):
    supervisor, worker = installation.headend.pids()
    os.kill({"supervisor": supervisor, "worker": worker}[which], signal.SIGKILL)
    wait_until(lambda: not _alive(worker), "the worker's end", 10)
    wait_until(lambda: silent(installation), "silence", 10)
    installation.headend._process.wait(timeout=20)
    installation.headend.start()
    assert installation.headend.readiness()["ready"]


def test_a_second_start_on_the_same_installation_is_refused_and_the_first_goes_on(installation):
    command = [sys.executable, "-m", "headend", "serve", installation.folder, "--port", str(free_port())]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another process serves" in second.stderr
    assert requests.get(f"{installation.headend.url}/healthz", timeout=5).ok


def test_stopping_leaves_no_process_behind(installation):
    supervisor, worker = installation.headend.pids()
    installation.headend.stop()
    assert not _alive(supervisor)
    assert not _alive(worker)


def test_the_front_door_tells_health_readiness_and_metrics(installation):
    url = installation.headend.url
    assert requests.get(f"{url}/healthz", timeout=5).text == "ok\n"
    assert requests.get(f"{url}/readyz", timeout=5).json()["simulated"] is True
    assert "headend_ledger_imbalance_cents 0.0" in requests.get(f"{url}/metrics", timeout=5).text


def test_plain_http_is_not_offered_beyond_this_machine(installation):
    command = [sys.executable, "-m", "headend", "serve", installation.folder, "--host", "0.0.0.0"]  # noqa: S104 (it is refused)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "loopback only" in done.stderr


def test_a_database_of_newer_code_is_not_served_and_one_line_says_what_to_do(tmp_path):
    folder = str(tmp_path / "headend")
    subprocess.run([sys.executable, "-m", "headend", "init", folder], check=True, capture_output=True)
    with closing(sqlite3.connect(f"{folder}/billing.db")) as database:
        database.execute("INSERT INTO _sqlite_migrations VALUES (99, 'billing', 'of_tomorrow', '')")
        database.commit()
    command = [sys.executable, "-m", "headend", "serve", folder, "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--log-format", "json"], capture_output=True, text=True, timeout=60, check=False
    )
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    (refused,) = [one["message"] for one in told if one["level"] == "critical"]
    assert "billing.db is newer than this code (of_tomorrow)" in refused
    assert "backup made before the upgrade" in refused
