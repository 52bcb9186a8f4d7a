"""The front where sides are served apart: two consoles, and what Prometheus asks of each socket."""

import http.client
import re

import pytest
import yaml

from tests.deploy.client import Client, parted, request
from tests.deploy.nginx import BOX, DEPLOY, Nginx
from tests.deploy.stages import lay_out_gateway
from tests.deploy.upstream import Recorder, answer

SOCKETS = {side: f"/run/stb-{side}/http.sock" for side in ("billing", "analytics", "fragments")}
NAME = "analytics.headend.example"
APART = (DEPLOY / "gateway" / "apart.conf").read_text()
METRICS = dict(re.findall(r"listen 127\.0\.0\.1:(\d+);\n    location = /metrics \{\n.*unix:(\S+);", APART))


@pytest.fixture
def sides():
    """What stands at each socket; each answers with its own name."""
    made = {side: Recorder(None) for side in SOCKETS}
    for side, recorder in made.items():
        recorder.reply = lambda *_, side=side: answer(side.encode(), "text/plain")
    yield made
    for recorder in made.values():
        recorder.close()


@pytest.fixture
def front(tmp_path, certificates, sides):
    (tmp_path / "configuration").mkdir()
    lay_out_gateway(tmp_path / "configuration", certificates)
    values = {f"unix:{SOCKETS[side]}": f"127.0.0.1:{one.port}" for side, one in sides.items()}
    values["server 127.0.0.1:8080;"] = f"server 127.0.0.1:{sides['billing'].port};"
    made = Nginx(tmp_path, "gateway", values, beside=("apart.conf",))
    yield made
    made.stop()


def console(front, certificates, name, source="127.0.0.1", target="/console/"):
    client = Client(front.ports[9443], certificates.public_file)
    with client.connect(source) as line:
        line.settimeout(4)
        line.sendall(request("GET", target, None, ["Connection: close"], host=f"{name}:9443"))
        status, _, body = parted(line.recv(99999))
    return status, body


def plain(front, port, target):
    line = http.client.HTTPConnection("127.0.0.1", front.ports[port], timeout=4)
    line.request("GET", target)
    found = line.getresponse()
    said = found.status, found.read()
    line.close()
    return said


def test_each_console_has_a_name_of_its_own_and_a_strange_name_leads_to_billings(front, certificates):
    assert console(front, certificates, NAME) == (200, b"analytics")
    for name in ("headend.example", "elsewhere.example"):
        assert console(front, certificates, name) == (200, b"billing")


def test_analytics_console_is_for_the_operators_network_and_leads_to_nothing_else(front, certificates, sides):
    assert console(front, certificates, NAME, source=BOX)[0] == 403
    for target in ("/metrics", "/analytics/directory/2026-W41", "/billing/v1/catalogue"):
        assert console(front, certificates, NAME, target=target)[0] == 404
    assert [one.requests for one in sides.values()] == [[], [], []]


def test_each_socket_tells_its_metrics_on_a_port_of_this_machine_and_nothing_else_there(front):
    assert sorted(METRICS.values()) == sorted(SOCKETS.values())
    for port, path in METRICS.items():
        (side,) = [side for side, socket in SOCKETS.items() if socket == path]
        assert plain(front, int(port), "/metrics") == (200, side.encode())
        for target in ("/", "/console/", "/analytics/ohttp", "/metrics/more", "/healthz"):
            assert plain(front, int(port), target)[0] == 404


def test_a_socket_at_which_nobody_answers_is_one_that_prometheus_finds_down(front, sides):
    sides["analytics"].reply = lambda *_: None
    (port,) = [int(port) for port, path in METRICS.items() if path == SOCKETS["analytics"]]
    assert plain(front, port, "/metrics")[0] == 502


def test_prometheus_asks_every_port_that_the_front_has_for_it():
    text = (DEPLOY / "monitoring" / "prometheus.yml").read_text()
    apart = yaml.safe_load(re.sub(r"(?m)^( *)#: ", r"\1", text))
    asked = {
        target.rpartition(":")[2]
        for job in apart["scrape_configs"]
        for config in job["static_configs"]
        for target in config["targets"]
    }
    assert METRICS.keys() <= asked
    as_it_stands = yaml.safe_load(text)["scrape_configs"]
    assert [job["static_configs"] for job in as_it_stands] == [[{"targets": ["127.0.0.1:8080"]}]]
