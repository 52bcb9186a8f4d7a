"""The gateway in a process of its own, beside the rest of the headend."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from headend.app import open_headend
from headend.installation import Installation
from shared.anonymous import Fragment
from shared.bhttp import decode_response, encode_request
from shared.ohttp import REQUEST_MEDIA_TYPE, KeyConfig, encapsulate_request
from shared.system_clock import ClockSteerer
from shared.tokens import Token, token_key_id
from shared.weeks import Week
from simulator.processes import _alive, free_port, wait_until
from tests.headend.analytics.builders import fragment_request
from tests.promises.test_no_door_out import Watch

pytestmark = pytest.mark.journey

WEEK = Week(2026, 41)
HEADEND = [sys.executable, "-m", "headend"]


class Gateway:
    """`headend gateway` on a folder."""

    def __init__(self, folder, log=Path(os.devnull)):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*HEADEND, "gateway", str(folder), "--port", str(self.port)]
        with log.open("ab") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        wait_until(self.answers, "the gateway")

    def answers(self):
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).text == "ok\n"
        except requests.RequestException:
            return False

    def worker(self):
        pid = self.process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An installation whose first week is over, with its directory published."""
    tmp_path = tmp_path_factory.mktemp("apart")
    clock = ClockSteerer(tmp_path / "clock", datetime(2026, 10, 2, 12, tzinfo=UTC))
    made = [*HEADEND, "init", str(tmp_path / "headend"), "--simulated", "--clock", str(tmp_path / "clock")]
    subprocess.run(made, check=True, capture_output=True)
    installation = Installation(tmp_path / "headend")
    headend = open_headend(installation)
    headend.publish(WEEK)
    headend.close()
    clock.set(WEEK.end(installation.zone) + timedelta(days=1))
    return tmp_path / "headend"


@pytest.fixture
def gateway(folder):
    served = Gateway(folder)
    yield served
    served.stop()


def analytics(folder):
    return open_headend(Installation(folder), ("analytics",))


def send(gateway, config, token):
    inner = encode_request(fragment_request(Fragment(1, WEEK, 3, 1), token), 768)
    sealed, context = encapsulate_request(config, inner)
    answer = requests.post(
        f"{gateway.url}/analytics/ohttp", sealed, headers={"Content-Type": REQUEST_MEDIA_TYPE}, timeout=10
    )
    assert answer.headers["Content-Type"] == "message/ohttp-res"
    return decode_response(context.open_response(answer.content))


def config_of(folder):
    headend = analytics(folder)
    try:
        return KeyConfig.decode(headend.analytics.key_config(WEEK))
    finally:
        headend.close()


def paid(folder):
    """A genuine token, signed with the installation's own key without the blinding."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from shared.directory import challenge
    from shared.tokens import token_key_spki

    installation = Installation(folder)
    pem = (installation.keys_of("billing") / f"token-{WEEK}-genre.pem").read_bytes()
    key = load_pem_private_key(pem, password=None)
    key_id = token_key_id(token_key_spki(key.public_key()))
    digest = challenge(installation.settings.issuer, "genre", WEEK).digest()
    blank = Token(os.urandom(32), digest, key_id, b"")
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    return Token(blank.nonce, digest, key_id, key.sign(blank.signed_part(), scheme, hashes.SHA384()))


def counted(folder):
    headend = analytics(folder)
    try:
        return sum(one.count for one in headend.analytics.store.accepted())
    finally:
        headend.close()


def test_a_fragment_is_counted_once_and_survives_a_kill_of_the_process_that_answered(folder, gateway):
    config, token, before = config_of(folder), paid(folder), counted(folder)
    assert send(gateway, config, token).status == 200
    os.kill(gateway.worker(), signal.SIGKILL)
    gateway.process.wait(20)
    assert counted(folder) == before + 1
    again = Gateway(folder)
    try:
        assert send(again, config, token).status == 200, "a duplicate gets the first answer again"
    finally:
        again.stop()
    assert counted(folder) == before + 1


def test_it_serves_the_directory_and_nothing_of_the_other_sides(folder, gateway):
    headend = analytics(folder)
    stored = headend.analytics.store.directory(WEEK)
    headend.close()
    assert requests.get(f"{gateway.url}/analytics/directory/{WEEK}", timeout=5).content == stored.envelope
    for path in ("/console/", "/billing/v1/catalogue", "/readyz"):
        assert requests.get(gateway.url + path, timeout=5).status_code == 404


def test_it_opens_no_connection_whatever_it_is_asked_and_a_second_one_is_refused_beside_it(folder, gateway):
    command = [*HEADEND, "gateway", str(folder), "--port", str(free_port())]
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watch = Watch(gateway.process.pid, gateway.port)
    try:
        assert send(gateway, config_of(folder), paid(folder)).status == 200
        for path in (f"/analytics/directory/{WEEK}", "/analytics/ohttp", "/nowhere"):
            requests.get(gateway.url + path, timeout=5)
        # It waits for a predecessor's end before it gives up: longer than the gateway's own chores are apart.
        _, said = second.communicate(timeout=60)
    finally:
        watch.close()
    assert second.returncode == 1
    assert "another process serves" in said
    assert gateway.answers()
    assert watch.looks > 20
    assert watch.seen == set()


def test_when_its_supervisor_is_killed_its_worker_ends(gateway):
    worker = gateway.worker()
    gateway.process.kill()
    wait_until(lambda: not _alive(worker), "the worker's end", 10)
    wait_until(lambda: not gateway.answers(), "silence", 10)


def test_the_rest_is_served_beside_it_and_leaves_fragments_to_it(folder, gateway):
    port = free_port()
    command = [*HEADEND, "serve", str(folder), "--port", str(port), "--gateway-apart"]
    before = counted(folder)
    beside = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def ready():
        try:
            return requests.get(f"{url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    try:
        wait_until(ready, "the rest")
        kind = {"Content-Type": REQUEST_MEDIA_TYPE}
        refused = requests.post(f"{url}/analytics/ohttp", b"x" * 823, headers=kind, timeout=5)
        assert refused.status_code == 404
        assert requests.get(f"{url}/analytics/directory/{WEEK}", timeout=5).ok
        assert send(gateway, config_of(folder), paid(folder)).status == 200
    finally:
        beside.terminate()
        beside.wait(20)
    assert counted(folder) == before + 1
