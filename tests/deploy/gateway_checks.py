"""What the headend's front promises, each as a check that raises AssertionError where it does not hold."""

import ssl
import time

from tests.deploy.client import Client, heard, parted, request
from tests.deploy.nginx import BOX
from tests.deploy.relay_checks import OTHER_BOX, SEALED, TELLING, a_crash_leaves_no_memory_behind, traces
from tests.deploy.upstream import answer

__all__ = ["a_crash_leaves_no_memory_behind"]  # holds of both
FORGED = (
    "X-Forwarded-For: 10.7.7.7",
    "X-Forwarded-Host: elsewhere.example",
    "X-Forwarded-Proto: http",
    "Forwarded: for=127.0.0.1",
)
ANALYTICS = request("POST", "/analytics/ohttp", SEALED, ["Content-Type: message/ohttp-req"])
DIRECTORY = request("GET", "/analytics/directory/2026-W41")


def fields_of(head):
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def only_the_relay_is_heard_on_the_anonymous_line(stage):
    for shows in stage.strangers:
        client = Client(stage.nginx.ports[8443], stage.line_file, shows)
        for raw in (ANALYTICS, DIRECTORY):
            try:
                with client.connect(name="gateway.example") as line:
                    line.settimeout(2)
                    line.sendall(raw)
                    found = line.recv(9999)
            except (ssl.SSLError, ConnectionResetError):
                found = b""
            assert parted(found)[0] in {0, 403}
    assert stage.headend.heard == 0


def the_relay_is_let_through_and_nothing_but_its_body(stage):
    more = [one for one in TELLING if not one.startswith(("Connection", "Expect", "Range", "If-"))]
    for raw in (
        request("POST", "/analytics/ohttp", SEALED, ["Content-Type: message/ohttp-req", *more]),
        request("GET", "/analytics/directory/2026-W41", b"seven", more),
    ):
        assert stage.ask(stage.relay, raw, "gateway.example")[0] == 200
    (head, body), (asked, nothing) = stage.headend.requests
    assert fields_of(head) == {
        "host": "gateway",
        "content-type": "message/ohttp-req",
        "content-length": str(len(SEALED)),
    }
    assert head.startswith(b"POST /analytics/ohttp HTTP/1.1\r\n")
    assert body == SEALED
    assert fields_of(asked) == {"host": "gateway"}
    assert nothing == b""


def the_relays_door_leads_to_nothing_else(stage):
    for raw in (
        request("GET", "/analytics/ohttp"),
        request("POST", "/analytics/directory/2026-W41", b""),
        request("POST", "/billing/v1/chain", b"{}"),
        request("GET", "/billing/v1/catalogue"),
        request("GET", "/console/"),
        request("GET", "/metrics"),
        request("POST", "/analytics/ohttp", SEALED + b"7", ["Content-Type: message/ohttp-req"]),
    ):
        assert stage.ask(stage.relay, raw, "gateway.example")[0] in {404, 405, 413}
    assert stage.headend.heard == 0


def many_requests_share_the_relays_connection(stage):
    with stage.relay.connect(name="gateway.example") as line:
        for _ in range(3):
            line.sendall(ANALYTICS)
            assert line.recv(9999).startswith(b"HTTP/1.1 200 ")
    assert stage.headend.connections == 1
    assert len(stage.headend.requests) == 3


def the_anonymous_line_leaves_no_trace(stage):
    stage.ask(stage.relay, ANALYTICS, "gateway.example")
    stage.headend.reply = lambda *_: None
    stage.ask(stage.relay, ANALYTICS, "gateway.example")
    head = f"POST /analytics/ohttp HTTP/1.1\r\nHost: a\r\nContent-Length: 823\r\nX: {'7' * 900}"
    with stage.relay.connect(name="gateway.example") as line:
        line.sendall(head.encode() + b"\r\nContent-Type: message/ohttp-req\r\n\r\n" + SEALED[:-20])
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert [one for one in stage.nginx.held_files() if "/body/" in one] == []
            time.sleep(0.005)
    stage.headend.reply = lambda *_: answer(bytes(9_000_000))
    with stage.relay.connect(name="gateway.example") as line:
        line.sendall(ANALYTICS)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert [one for one in stage.nginx.held_files() if "/proxy/" in one] == []
            time.sleep(0.005)
    written = stage.nginx.written()
    assert {name: traces(raw) for name, raw in written.items() if traces(raw)} == {}
    assert b"analytics" not in b"".join(written.values())
    assert set(written) == {"nginx.pid", "stderr"}


def boxes_reach_billing_and_nothing_else(stage):
    stage.headend.reply = lambda *_: answer(b"{}", "application/json", more=['ETag: "seven"'])
    raw = request("GET", "/billing/v1/catalogue", None, ['If-None-Match: "six"', "Connection: close"])
    status, fields, _ = stage.ask(stage.box, raw)
    assert (status, fields["etag"]) == (200, '"seven"')
    assert fields_of(stage.headend.requests[0][0])["if-none-match"] == '"six"'
    stage.headend.forget()
    for target in (
        "/",
        "/analytics/ohttp",
        "/analytics/directory/2026-W41",
        "/console/",
        "/metrics",
        "/healthz",
    ):
        assert stage.ask(stage.box, request("GET", target, None, ["Connection: close"]))[0] == 404
    assert stage.ask(stage.box, request("GET", "/billing/../metrics", None, ["Connection: close"]))[0] == 404
    assert stage.headend.heard == 0


def a_body_larger_than_any_message_is_refused(stage):
    raw = request("POST", "/billing/v1/chain", bytes(600_000), ["Connection: close"])
    assert stage.ask(stage.box, raw)[0] == 413
    raw = request("POST", "/billing/v1/chain", bytes(500_000), ["Connection: close"])
    assert stage.ask(stage.box, raw)[0] == 200


def nobody_writes_the_fields_that_the_headend_believes(stage):
    for client, target, source in (
        (stage.box, "/billing/v1/catalogue", BOX),
        (stage.operator, "/console/", "127.0.0.1"),
    ):
        stage.headend.forget()
        raw = request("GET", target, None, [*FORGED, "Connection: close"], "console.example:9443")
        assert stage.ask(client, raw, source=source)[0] == 200
        found = fields_of(stage.headend.requests[0][0])
        assert found["x-forwarded-for"] == source
        assert found["x-forwarded-proto"] == "https"
        assert found["x-forwarded-host"] == found["host"] == "console.example:9443"
        assert "forwarded" not in found


def operators_come_from_their_own_network_only(stage):
    raw = request("GET", "/console/", None, ["Connection: close"])
    for source, expected in ((BOX, 403), (OTHER_BOX, 403), ("127.0.0.1", 200)):
        assert stage.ask(stage.operator, raw, source=source)[0] == expected
    assert len(stage.headend.requests) == 1
    for target in ("/billing/v1/catalogue", "/analytics/directory/2026-W41", "/metrics"):
        other = request("GET", target, None, ["Connection: close"])
        assert stage.ask(stage.operator, other, source="127.0.0.1")[0] == 404


def no_answer_tells_the_version_or_keeps_a_session(stage):
    assert stage.ask(stage.box, request("GET", "/", None, ["Connection: close"]))[1]["server"] == "nginx"
    session = None
    for _ in range(3):
        with stage.box.connect(session=session) as line:
            assert not line.session_reused
            line.sendall(request("GET", "/", None, ["Connection: close"]))
            heard(line)
            session = line.session


def the_relays_door_speaks_tls_1_3_only(stage):
    older = Client(stage.nginx.ports[8443], stage.line_file, stage.relay_line, ssl.TLSVersion.TLSv1_2)
    try:
        older.connect(name="gateway.example").close()
    except ssl.SSLError:
        return
    raise AssertionError("it speaks TLS 1.2")


def a_headend_that_does_not_answer_is_asked_once(stage):
    stage.ask(stage.box, request("GET", "/billing/v1/catalogue", None, ["Connection: close"]))
    stage.headend.forget()
    stage.headend.reply = lambda *_: None
    raw = request("POST", "/billing/v1/enrol", b"{}", ["Connection: close"])
    assert stage.ask(stage.box, raw)[0] == 502
    assert len(stage.headend.requests) == 1


def a_submission_of_orders_may_be_asked_again(stage):
    stage.ask(stage.box, request("GET", "/billing/v1/catalogue", None, ["Connection: close"]))
    stage.headend.forget()
    stage.headend.reply = lambda *_: None if len(stage.headend.requests) < 2 else answer()
    raw = request("POST", "/billing/v1/chain", b"{}", ["Connection: close"])
    assert stage.ask(stage.box, raw)[0] == 200
    assert len(stage.headend.requests) == 2
