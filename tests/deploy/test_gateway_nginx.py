"""The headend's front as shipped, alone and behind the shipped relay before a real headend."""

import inspect
import os
from datetime import UTC, datetime

import pytest

from box_agent.lines import HttpAnonymousLine, HttpNamedLine, RefusedError
from box_agent.sealing import seal_fragment
from headend.installation import DIRECTORY_KEY, Installation
from shared import dsse
from shared.anonymous import Fragment
from shared.directory import read_directory
from shared.system_clock import ClockSteerer
from shared.weeks import Week
from simulator.processes import Headend, free_port
from tests.deploy import gateway_checks as checks
from tests.deploy.client import Client, parted, request
from tests.deploy.nginx import BOX, DEPLOY, Nginx, lines_without_mutant, statements
from tests.deploy.stages import lay_out_gateway, lay_out_relay
from tests.deploy.upstream import answer

CHECKS = {
    name: check
    for name, check in vars(checks).items()
    if inspect.isfunction(check) and list(inspect.signature(check).parameters) == ["stage"]
}
SHIPPED = {name: (DEPLOY / "gateway" / name).read_text() for name in ("nginx.conf", "values.conf")}
MAIN, VALUES = "nginx.conf", "values.conf"
stranger, bare, elsewhere = (
    checks.only_the_relay_is_heard_on_the_anonymous_line,
    checks.the_relay_is_let_through_and_nothing_but_its_body,
    checks.the_relays_door_leads_to_nothing_else,
)
traced, named, believed = (
    checks.the_anonymous_line_leaves_no_trace,
    checks.boxes_reach_billing_and_nothing_else,
    checks.nobody_writes_the_fields_that_the_headend_believes,
)
HEADS_OF_OHTTP = """            proxy_set_header Host gateway;
            proxy_set_header Connection "";
            proxy_set_header Content-Type $content_type;
"""
HEADS_OF_DIRECTORY = """            proxy_set_header Host gateway;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
"""
MUTANTS = [
    (MAIN, "access_log off;", "access_log access.log;", traced),
    (MAIN, "error_log /dev/null emerg;", "error_log error.log;", traced),
    (MAIN, "server_tokens off;", "", checks.no_answer_tells_the_version_or_keeps_a_session),
    (MAIN, "ssl_session_tickets off;", "", checks.no_answer_tells_the_version_or_keeps_a_session),
    (
        MAIN,
        "    client_max_body_size 512k;",
        "    client_max_body_size 1m;",
        checks.a_body_larger_than_any_message_is_refused,
    ),
    (MAIN, "    client_max_body_size 512k;", "", checks.a_body_larger_than_any_message_is_refused),
    (MAIN, 'proxy_set_header Forwarded "";', "", believed),
    (MAIN, "proxy_set_header X-Forwarded-For $remote_addr;", "", believed),
    (
        MAIN,
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        believed,
    ),
    (MAIN, "proxy_set_header X-Forwarded-Host $http_host;", "", believed),
    (MAIN, "proxy_set_header X-Forwarded-Proto https;", "", believed),
    (MAIN, "proxy_set_header Host $http_host;", "", believed),
    (MAIN, "location /billing/", "location ~ ^/", named),
    (MAIN, "ssl_verify_client on;", "ssl_verify_client off;", stranger),
    (MAIN, "ssl_verify_client on;", "ssl_verify_client optional;", stranger),
    (MAIN, "ssl_verify_client on;", "ssl_verify_client optional_no_ca;", stranger),
    (MAIN, "        ssl_protocols TLSv1.3;", "", checks.the_relays_door_speaks_tls_1_3_only),
    (MAIN, "client_max_body_size 823;", "", elsewhere),
    (MAIN, "client_body_buffer_size 1k;", "client_body_buffer_size 512;", traced),
    (MAIN, "proxy_max_temp_file_size 0;", "", traced),
    (MAIN, "proxy_pass_request_headers off;", "", bare),
    (MAIN, "if ($request_method != POST)", "if ($request_method = 7)", elsewhere),
    (MAIN, "if ($request_method != GET)", "if ($request_method = 7)", elsewhere),
    (MAIN, "proxy_pass_request_body off;", "", bare),
    (MAIN, "location = /analytics/ohttp", "location ~ ^/", elsewhere),
    (MAIN, "location /analytics/directory/", "location ~ ^/[bcm]", elsewhere),
    (MAIN, "ssl_client_certificate line-ca.pem;", "ssl_client_certificate headend.pem;", bare),
    (
        MAIN,
        "if ($operators_network = 0)",
        "if ($operators_network = 7)",
        checks.operators_come_from_their_own_network_only,
    ),
    (MAIN, "location /console/", "location ~ ^/[bcm]", checks.operators_come_from_their_own_network_only),
    (VALUES, "default     0;", "default     1;", checks.operators_come_from_their_own_network_only),
    (VALUES, "keepalive 96;", "", checks.many_requests_share_the_relays_connection),
    *[
        (MAIN, heads, heads.replace(line, ""), bare)
        for heads in (HEADS_OF_OHTTP, HEADS_OF_DIRECTORY)
        for line in heads.strip().split("\n")
    ],
    (MAIN, "proxy_http_version 1.1;", "", bare),
    (MAIN, "error_page 495 496 =403 @not-the-relay;", "", stranger),
    (
        MAIN,
        "proxy_next_upstream error; ",
        "proxy_next_upstream error timeout non_idempotent; ",
        checks.a_headend_that_does_not_answer_is_asked_once,
    ),
    (
        MAIN,
        "            proxy_next_upstream error timeout non_idempotent;\n",
        "",
        checks.a_submission_of_orders_may_be_asked_again,
    ),
    (
        MAIN,
        "location = /billing/v1/chain {",
        "location = /billing/v1/else {",
        checks.a_submission_of_orders_may_be_asked_again,
    ),
]
PLAIN = {
    "a frame": (
        "events {",
        "http {",
        "server {",
        "location / {",
        "location @not-the-relay {",
        "upstream headend {",
        "upstream line {",
        "geo $operators_network {",
        "127.0.0.1 1;",
    ),
    "where things are": (
        "pid nginx.pid;",
        "error_log stderr error;",
        "client_body_temp_path body;",
        "proxy_temp_path proxy;",
        "fastcgi_temp_path fastcgi;",
        "uwsgi_temp_path uwsgi;",
        "scgi_temp_path scgi;",
        "include values.conf;",
        "include apart*.conf;",
        *(f"listen {address}{port} ssl;" for port in (443, 8443, 9443) for address in ("", "[::]:")),
        "server 127.0.0.1:8080;",
        "ssl_certificate headend.pem;",
        "ssl_certificate_key headend.key;",
        "ssl_certificate line.pem;",
        "ssl_certificate_key line.key;",
        "proxy_pass http://headend;",
        "proxy_pass http://line;",
    ),
    "how many and how long; no test waits for it": (
        "worker_processes 1;",
        "keepalive 16;",
        "worker_rlimit_core 0;",
        "worker_rlimit_nofile 8192;",
        "worker_connections 4096;",
        "client_header_timeout 10s;",
        "client_body_timeout 20s;",
        "send_timeout 20s;",
        "proxy_connect_timeout 5s;",
        "proxy_read_timeout 60s;",
        "keepalive_timeout 75s;",
        "keepalive_requests 100000;",
    ),
    "what a refusal says; its status is looked at": (
        "default_type application/problem+json;",
        *(one for one in statements(SHIPPED[MAIN]) if one.startswith("return ")),
    ),
    "boxes older than TLS 1.3 may speak to billing": ("ssl_protocols TLSv1.2 TLSv1.3;",),
    "without tickets nobody can send early": ("ssl_early_data off;",),
}
"""Lines that carry no promise by themselves, by the reason."""


@pytest.mark.parametrize("promise", CHECKS)
def test_the_shipped_front_keeps_what_it_promises(make_gateway, promise):
    CHECKS[promise](make_gateway())


@pytest.mark.parametrize(
    "mutant",
    MUTANTS,
    ids=lambda mutant: f"{MUTANTS.index(mutant)}-{mutant[2].split(';')[0].strip() or 'without ' + mutant[1]}",
)
def test_a_line_of_the_front_that_is_altered_breaks_a_promise(make_gateway, mutant):
    *altered, check = mutant
    front = make_gateway(altered)
    with pytest.raises((AssertionError, ValueError)):
        check(front)


def test_every_line_of_the_front_that_carries_a_promise_has_its_mutant():
    assert lines_without_mutant(SHIPPED, MUTANTS, PLAIN) == []


@pytest.mark.parametrize("asked", [error_only := "proxy_next_upstream error; ", "proxy_next_upstream off; "])
def test_a_node_that_is_gone_costs_nobody_an_answer(tmp_path, certificates, recorder, asked):
    """Nor any request that must not be made twice; without that line of the front it does."""
    (tmp_path / "configuration").mkdir()
    lay_out_gateway(tmp_path / "configuration", certificates)
    recorder.context, recorder.reply = None, lambda *_: answer()
    recorder.forget()
    both = f"server 127.0.0.1:{free_port()} max_fails=0; server 127.0.0.1:{recorder.port};"
    values = {"server 127.0.0.1:8080;": both, "keepalive 16;": ""}
    front = Nginx(tmp_path, "gateway", values, (MAIN, error_only, asked))
    box = Client(front.ports[443], certificates.public_file)
    raw = request("POST", "/billing/v1/enrol", b"{}", ["Connection: close"])
    statuses = [ask(box, raw) for _ in range(4)]
    front.stop()
    assert statuses.count(200) == len(recorder.requests) == (4 if asked == error_only else 2)


def ask(client, raw):
    with client.connect(BOX, "127.0.0.1") as line:
        line.settimeout(4)
        line.sendall(raw)
        return parted(line.recv(99999))[0]


@pytest.fixture
def through_both(tmp_path, certificates):
    """A real headend behind its front, behind the relay; nothing of them is imitated."""
    headend = Headend(tmp_path / "headend")
    headend.command("init", str(headend.folder), "--simulated", "--clock", str(clock_at(tmp_path / "clock")))
    nginxes = []
    try:
        headend.start()
        for kind, lay_out, shipped in (
            ("gateway", lay_out_gateway, "server 127.0.0.1:8080;"),
            ("relay", lay_out_relay, "server gateway.example:8443;"),
        ):
            (tmp_path / kind / "configuration").mkdir(parents=True)
            lay_out(tmp_path / kind / "configuration", certificates)
            port = nginxes[-1].ports[8443] if nginxes else headend.port
            nginxes.append(Nginx(tmp_path / kind, kind, {shipped: f"server 127.0.0.1:{port};"}))
        yield headend, *nginxes
    finally:
        for one in nginxes:
            one.stop()
        headend.stop()


def clock_at(path):
    ClockSteerer(path, datetime(2026, 10, 2, 12, tzinfo=UTC))
    return path


def test_a_box_gets_its_directory_and_a_sealed_answer_through_relay_and_front(through_both, certificates):
    headend, front, relay = through_both
    ca_file = str(certificates.public_file)
    anonymous = HttpAnonymousLine(f"https://127.0.0.1:{relay.ports[443]}", ca_file)
    named = HttpNamedLine(f"https://127.0.0.1:{front.ports[443]}", ca_file)
    week = Week.parse("2026-W41")
    envelope = anonymous.get_directory(str(week)).body
    assert named.get(f"directory/{week}").body == envelope
    named.close()
    key = Installation(headend.folder).public(DIRECTORY_KEY)
    directory = read_directory(dsse.verify(envelope, dsse.PayloadType.DIRECTORY, key), week)
    forged = b"\x00\x02" + os.urandom(352)
    sealed = seal_fragment(Fragment(1, week, 1, 1), forged, directory.key_config(), os.urandom)
    answer = anonymous.post_sealed(sealed.body)
    assert (answer.status, len(answer.body)) == (200, 160)
    assert sealed.open(answer.body) in {400, 401, 403, 409}
    with pytest.raises(RefusedError, match="broken-seal"):
        anonymous.post_sealed(sealed.body[:-1] + bytes([sealed.body[-1] ^ 1]))
    with pytest.raises(RefusedError, match="no-directory"):
        anonymous.get_directory("2026-W53")
    assert b"2026-W41" not in b"".join(raw for name, raw in relay.written().items() if "cache" not in name)
    for one in (front, relay):
        assert {name for name in one.written() if "cache" not in name} == {"nginx.pid", "stderr"}
        assert one.written()["stderr"] == b""
