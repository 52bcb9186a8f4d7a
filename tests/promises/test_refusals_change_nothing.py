"""Bad input gets a clear, typed refusal, is counted by its name, and changes nothing."""

import json
import time

import pytest
import requests

from headend.installation import Installation
from simulator.processes import wait_until
from tests import engines

pytestmark = [pytest.mark.promise, pytest.mark.journey]

JSON = "application/json"
SEALED = "message/ohttp-req"
ENVELOPE = {
    "payload": "e30=",
    "payloadType": "application/vnd.stb-telemetry.named+json",
    "signatures": [{"keyid": "bx0000000000000000", "sig": "A" * 86 + "=="}],
}


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


WRONG = {
    "not JSON": ("POST", "/billing/v1/chain", b"\x00\xff", JSON, 400, "malformed"),
    "a JSON of another form": ("POST", "/billing/v1/chain", b"[]", JSON, 400, "malformed"),
    "nothing in it": ("POST", "/billing/v1/chain", b'{"envelopes":[]}', JSON, 400, "malformed"),
    "an unknown field": ("POST", "/billing/v1/chain", b'{"envelopes":[{}],"x":1}', JSON, 400, "malformed"),
    "deeper than deep": ("POST", "/billing/v1/chain", b"[" * 100_000, JSON, 400, "malformed"),
    "another content type": ("POST", "/billing/v1/chain", b"{}", "text/plain", 415, "wrong-content-type"),
    "too large": ("POST", "/billing/v1/chain", b" " * 300_000, JSON, 413, "too-large"),
    "an unknown box": (
        "POST",
        "/billing/v1/chain",
        compact({"envelopes": [ENVELOPE]}),
        JSON,
        403,
        "unknown-box",
    ),
    "a heartbeat of nobody": ("POST", "/billing/v1/heartbeat", compact(ENVELOPE), JSON, 403, "unknown-box"),
    "tokens for nobody": ("POST", "/billing/v1/tokens", compact(ENVELOPE), JSON, 403, "unknown-box"),
    "an enrolment by nobody": ("POST", "/billing/v1/enrol", compact(ENVELOPE), JSON, 400, "malformed"),
    "a week that is none": ("GET", "/billing/v1/directory/2026-W60", b"", JSON, 404, "not-published"),
    "a seal of another size": ("POST", "/analytics/ohttp", b"x" * 100, SEALED, 400, "wrong-size"),
    "no seal": ("POST", "/analytics/ohttp", b"x" * 823, SEALED, 400, "unknown-key"),
    "a seal as JSON": ("POST", "/analytics/ohttp", b"{}", JSON, 415, "wrong-content-type"),
    "a directory of no week": ("GET", "/analytics/directory/nonsense", b"", JSON, 404, "no-directory"),
}
OWN_BOOKKEEPING = {"tally", "job_runs"}


def contents(folder):
    """Everything in billing's and analytics' tables, but for the counts of refusals."""
    found = {}
    for side in ("billing", "analytics"):
        with engines.raw(Installation(folder).place(side)) as database:
            found[side] = engines.contents(database)
        for table in OWN_BOOKKEEPING:
            found[side].pop(table, None)
    return found


def refused(installation):
    metrics = installation.headend.metrics()
    return {name: n for name, n in metrics.items() if name.startswith("headend_refused")}


def test_every_wrong_input_is_answered_by_name_counted_and_changes_nothing(installation):
    before, counted = contents(installation.headend.folder), refused(installation)
    for what, (method, path, body, kind, status, name) in WRONG.items():
        answer = requests.request(
            method, installation.headend.url + path, data=body, headers={"Content-Type": kind}, timeout=30
        )
        assert answer.headers["Content-Type"] == "application/problem+json", what
        problem = answer.json()
        assert (answer.status_code, problem["type"].rpartition(":")[2]) == (status, name), what
        assert problem["status"] == status, what
        now = refused(installation)
        mine = [key for key in now if f'name="{name}"' in key]
        assert sum(now[key] for key in mine) == sum(counted.get(key, 0) for key in mine) + 1, what
        counted = now
    assert contents(installation.headend.folder) == before


def test_what_was_counted_survives_a_restart(installation):
    requests.post(installation.headend.url + "/billing/v1/chain", b"x", timeout=30)

    def stored():
        with engines.raw(Installation(installation.headend.folder).place("billing")) as database:
            rows = {row[0]: row[1] for row in database.execute("SELECT name, n FROM tally")}
        return rows.get("wrong-content-type") == 1

    wait_until(stored, "the tally", 10)
    installation.headend.kill("both")
    assert refused(installation)['headend_refused_total{name="wrong-content-type",side="billing"}'] == 1


def test_an_address_that_does_not_exist_is_a_problem_too(installation):
    for method, path in (("GET", "/nothing"), ("DELETE", "/billing/v1/chain")):
        answer = requests.request(method, installation.headend.url + path, timeout=30)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.status_code in {404, 405}
    assert time.monotonic()


def test_a_refusal_of_a_large_body_always_arrives(installation):
    for _ in range(40):
        answer = requests.post(
            installation.headend.url + "/billing/v1/chain",
            b" " * 500_000,
            headers={"Content-Type": JSON},
            timeout=30,
        )
        assert answer.status_code == 413
