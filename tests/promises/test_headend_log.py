"""What a headend's log tells, with everything on: of the anonymous line nothing, of nobody a name."""

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from headend.analytics.gateway import SEALED_SIZE
from simulator.processes import wait_until
from tests.box_agent.fakes import W41, ZONE
from tests.journeys.test_gateway_apart import Gateway
from tests.town import Installed

pytestmark = [pytest.mark.promise, pytest.mark.journey]

SECRET = "nl-0003-a-very-particular-film"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A headend and its gateway that were asked on every line, and met an error; their logs' lines."""
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADEND_LOG_FORMAT", "json")
        patch.setenv("HEADEND_ACCESS_LOG", "1")
        installed = Installed(folder)
        gateway = Gateway(Path(installed.folder), log=folder / "gateway.log")
    log = folder / "headend.log"
    try:
        ask(installed.headend.url)
        ask(gateway.url)
        shutil.rmtree(Path(installed.folder) / "keys" / "root")
        installed._steerer.set(W41.start(ZONE) + timedelta(hours=1))
        wait_until(lambda: "exception" in log.read_text(), "the job that fails")
    finally:
        gateway.stop()
        installed.stop()
    return log.read_text().splitlines(), (folder / "gateway.log").read_text().splitlines()


def ask(url):
    """Something good and something bad on the anonymous line; then on the named line and the console."""
    kind = {"Content-Type": "message/ohttp-req"}
    for body in (b"", os.urandom(SEALED_SIZE), SECRET.encode()):
        requests.post(f"{url}/analytics/ohttp", body, headers=kind, timeout=10)
    for week in ("2026-W41", SECRET):
        requests.get(f"{url}/analytics/directory/{week}", timeout=10)
    requests.get(f"{url}/billing/v1/directory/{SECRET}", timeout=10)
    requests.post(f"{url}/billing/v1/chain", SECRET, headers={"Content-Type": "application/json"}, timeout=10)
    requests.get(f"{url}/console/accounts/{SECRET}", timeout=10)
    requests.get(f"{url}/{SECRET}", timeout=10)


def test_every_line_is_one_json_object(logged):
    for lines in logged:
        assert len(lines) > 3
        for line in lines:
            found = json.loads(line)
            assert {"time", "level", "logger", "message"} <= found.keys()


def test_of_the_anonymous_line_nothing_is_told_and_of_the_gateway_only_that_it_runs(logged):
    served, gateway = ([json.loads(line) for line in lines] for lines in logged)
    asked = [one for one in served if one["logger"] == "headend.access"]
    assert {one["side"] for one in asked} == {"billing", "console"}
    assert not [one for one in served if "/analytics" in json.dumps(one)]
    assert {one["logger"].split(".")[0] for one in gateway} == {"_granian"}
    assert len(gateway) < 12, "none of them is about a request"


def test_what_was_asked_for_is_told_as_a_template_under_a_random_id_and_nobody_is_named(logged):
    served, gateway = logged
    assert not [line for line in (*served, *gateway) if SECRET in line]
    asked = [one for one in map(json.loads, served) if one["logger"] == "headend.access"]
    assert {one["route"] for one in asked} >= {"/billing/v1/directory/<week>", "/console/<path:path>"}
    ids = [one["request"] for one in asked]
    assert len(set(ids)) == len(ids)
    addresses = [line for line in served if "127.0.0.1" in line and "Listening at" not in line]
    assert not addresses


def test_a_job_that_fails_is_told_with_its_slot(logged):
    failed = [one for one in map(json.loads, logged[0]) if "exception" in one]
    assert {(one["job"], one["slot"]) for one in failed} == {("directory", "2026-W42")}
