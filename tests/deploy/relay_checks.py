"""What a relay promises, each as a check that raises AssertionError where it does not hold."""

import json
import re
import socket
import ssl
import threading
import time
from pathlib import Path

from shared.anonymous import INNER_REQUEST_SIZE
from shared.ohttp import REQUEST_MEDIA_TYPE, REQUEST_OVERHEAD
from tests.deploy.client import Client, heard, parted, request
from tests.deploy.nginx import BOX, DEPLOY, statements
from tests.deploy.upstream import answer

SEALED_SIZE = INNER_REQUEST_SIZE + REQUEST_OVERHEAD
SEALED = (b"sealed-body-of-one-box" * 40)[:SEALED_SIZE]
KIND = f"Content-Type: {REQUEST_MEDIA_TYPE}"
WEEK = "2026-W41"
OTHER_BOX = "127.0.0.78"
TELLING = (
    "User-Agent: box-seven/1.0",
    "Cookie: box=seven",
    "Authorization: Bearer seven",
    "Accept: text/seven",
    "Accept-Encoding: gzip",
    "Accept-Language: nl-seven",
    "Referer: https://seven.example/",
    "Date: Mon, 07 Jul 2007 07:07:07 GMT",
    "Via: 1.1 seven",
    "X-Forwarded-For: 10.0.0.7",
    "X-Forwarded-Host: seven.example",
    "X-Forwarded-Proto: seven",
    "X-Real-IP: 10.0.0.7",
    "Forwarded: for=10.0.0.7",
    "traceparent: 00-77777777777777777777777777777777-7777777777777777-01",
    "Connection: close, X-Hop",
    "X-Hop: seven",
    "TE: trailers",
    "Trailer: X-Seven",
    "Upgrade: seven",
    "Keep-Alive: seven",
    "Proxy-Authorization: seven",
    "Origin: https://seven.example",
    "Cache-Control: no-cache",
    "Pragma: no-cache",
    "Range: bytes=0-7",
    'If-None-Match: "seven"',
    "If-Modified-Since: Mon, 07 Jul 2036 07:07:07 GMT",
    "Expect: 100-continue",
)
BARE_POST = {
    b"POST /analytics/ohttp HTTP/1.1",
    b"Host: gateway.example",
    b"Content-Type: message/ohttp-req",
    b"Content-Length: %d" % SEALED_SIZE,
}
BARE_GET = {b"GET /analytics/directory/2026-W41 HTTP/1.1", b"Host: gateway.example"}
SHOWN = {"server", "date", "content-type", "content-length", "connection"}
HIDDEN = [
    one.split()[1].rstrip(";")
    for one in statements((DEPLOY / "relay" / "nginx.conf").read_text())
    if one.startswith("proxy_hide_header")
]


def sealed_request(body=SEALED, fields=()):
    return request("POST", "/ohttp", body, (KIND, *fields))


def directory_request(fields=(), week=WEEK):
    return request("GET", f"/directory/{week}", None, fields)


def passes(stage, raw, source=BOX):
    """The answer to a request that has to pass."""
    status, fields, body = parted(stage.box.say(raw, source))
    assert status == 200, (status, body)
    return fields, body


def lines_of(head):
    return sorted(head.split(b"\r\n"))


def until(what, seconds=3):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


# --- what goes on


def of_a_sealed_request_nothing_goes_on_but_type_length_and_body(stage):
    for fields in ((), TELLING):
        _, body = passes(stage, sealed_request(fields=fields))
        assert body.endswith(b"sealed answer")
        head, passed = stage.gateway.requests[-1]
        assert lines_of(head) == sorted(BARE_POST)
        assert passed == SEALED


def of_a_question_for_a_directory_nothing_goes_on(stage):
    passes(stage, request("GET", f"/directory/{WEEK}", b"seven", TELLING[:-1]))
    ((head, body),) = stage.gateway.requests
    assert lines_of(head) == sorted(BARE_GET)
    assert body == b""


def every_request_reaches_the_gateway_in_the_same_bytes(stage):
    for source, fields in ((BOX, ()), (OTHER_BOX, TELLING)):
        passes(stage, sealed_request(fields=fields), source)
    assert len({head for head, _ in stage.gateway.requests}) == 1


REFUSED = [
    ("POST /analytics/ohttp", 404, "not-found", sealed_request().replace(b"/ohttp ", b"/analytics/ohttp ")),
    ("a query", 404, "not-found", sealed_request().replace(b"/ohttp ", b"/ohttp?box=7 ")),
    ("an empty query", 404, "not-found", sealed_request().replace(b"/ohttp ", b"/ohttp? ")),
    ("another spelling", 404, "not-found", sealed_request().replace(b"/ohttp ", b"/%6fhttp ")),
    ("a double slash", 404, "not-found", sealed_request().replace(b"/ohttp ", b"//ohttp ")),
    ("more path", 404, "not-found", sealed_request().replace(b"/ohttp ", b"/ohttp/7 ")),
    ("the front", 404, "not-found", request("GET", "/")),
    ("GET of the sealed address", 405, "wrong-method", request("GET", "/ohttp")),
    ("PUT", 405, "wrong-method", sealed_request().replace(b"POST", b"PUT")),
    ("another type", 415, "wrong-content-type", sealed_request().replace(b"ohttp-req", b"ohttp-res")),
    ("a type that says more", 415, "wrong-content-type", sealed_request().replace(b"req\r", b"req; b=7\r")),
    ("no type", 415, "wrong-content-type", request("POST", "/ohttp", SEALED)),
    ("a byte too few", 400, "wrong-size", sealed_request(SEALED[:-1])),
    ("nothing", 400, "wrong-size", sealed_request(b"")),
    ("a length of another spelling", 400, "wrong-size", sealed_request(fields=("Content-Length: 0823",))),
    ("a byte too many", 413, "too-large", sealed_request(SEALED + b"7")),
    ("far too many", 413, "too-large", sealed_request(bytes(70_000))),
    (
        "an untold length",
        400,
        "wrong-size",
        request("POST", "/ohttp", None, (KIND, "Transfer-Encoding: chunked"))
        + b"337\r\n"
        + SEALED
        + b"\r\n0\r\n\r\n",
    ),
    ("a week that is none", 404, "not-found", directory_request(week="2026-W54")),
    ("week zero", 404, "not-found", directory_request(week="2026-W00")),
    ("a week and more", 404, "not-found", directory_request(week="2026-W411")),
    ("a week with a query", 404, "not-found", directory_request(week="2026-W41?box=7")),
    ("a week in another spelling", 404, "not-found", directory_request(week="2026-W4%31")),
    ("a week and a way up", 404, "not-found", directory_request(week="2026-W41/../..")),
    ("HEAD of a directory", 405, "", directory_request().replace(b"GET", b"HEAD")),
    ("POST of a directory", 405, "wrong-method", request("POST", f"/directory/{WEEK}", b"")),
]


def nothing_else_passes_and_the_refusal_tells_nothing(stage):
    for what, status, name, raw in REFUSED:
        found, fields, body = parted(stage.box.say(raw))
        assert (what, found) == (what, status)
        assert (what, set(fields)) == (what, SHOWN)
        assert (what, fields["content-type"]) == (what, "application/problem+json")
        told = json.loads(body)["type"].rpartition(":")[2] if body else ""
        assert (what, told) == (what, name)
    for broken in (
        b"nonsense\r\n\r\n",
        sealed_request(fields=("Transfer-Encoding: chunked",)),
        sealed_request(fields=("Content-Length: 823", "Content-Length: 7")),
        request("GET", "/directory/2026-W41", None, [f"X: {'7' * 6000}"]),
    ):
        found, _, body = parted(stage.box.say(broken))
        assert found in {400, 413, 431}
        assert b"777" not in body
    assert stage.gateway.heard == 0


# --- what comes back


EVERY_FIELD = [f"{name}: seven" for name in (*HIDDEN, "Server", "Date")]


def of_an_answer_only_type_length_and_body_come_back(stage):
    stage.gateway.reply = lambda *_: answer(more=EVERY_FIELD)
    for raw in (sealed_request(), directory_request()):
        fields, body = passes(stage, raw)
        assert set(fields) == SHOWN
        assert fields["server"] == "nginx"
        assert fields["content-type"] == "message/ohttp-res"
        assert b"seven" not in body


def nothing_in_an_answer_leads_elsewhere(stage):
    redirect = answer(status="302 Found", more=["Location: https://elsewhere.example/"])
    stage.gateway.reply = lambda *_: redirect
    _, fields, _ = parted(stage.box.say(sealed_request()))
    assert set(fields) == SHOWN
    within = answer(more=[f"X-Accel-Redirect: /directory/{WEEK}"])
    stage.gateway.reply = lambda *_: within
    stage.gateway.forget()
    passes(stage, sealed_request())
    assert len(stage.gateway.requests) == 1


def a_refusal_of_the_gateway_comes_back_as_it_is(stage):
    problem = b'{"type":"urn:stb-telemetry:problem:unknown-key"}'
    stage.gateway.reply = lambda *_: answer(problem, "application/problem+json", "400 Bad Request")
    status, fields, body = parted(stage.box.say(sealed_request()))
    assert (status, fields["content-type"], body) == (400, "application/problem+json", problem)


# --- the directory


def one_copy_of_a_directory_is_everybodys(stage):
    stage.gateway.reply = lambda *_: answer(
        b'{"week":"2026-W41"}',
        "application/json",
        more=[
            "Cache-Control: private, no-store",
            "Set-Cookie: a=7",
            "Vary: User-Agent, Cookie",
            "Expires: 0",
            "X-Accel-Expires: 0",
            "Accept-Ranges: bytes",
            'ETag: "seven"',
            "Last-Modified: Mon, 07 Jul 2003 07:07:07 GMT",
        ],
    )
    asked = [(BOX, ()), (OTHER_BOX, ("User-Agent: other", "Cookie: other", "Cache-Control: no-cache"))]
    for source, fields in (*asked, (OTHER_BOX, TELLING)):
        _, body = passes(stage, directory_request(fields), source)
        assert body == b'{"week":"2026-W41"}'
    passes(stage, request("GET", f"/directory/{WEEK}", host="other.example"))
    assert len(stage.gateway.requests) == 1
    passes(stage, directory_request(week="2026-W42"))
    assert len(stage.gateway.requests) == 2


def many_who_ask_at_once_are_one_question(stage):
    def slowly(*_):
        end = time.monotonic() + 0.4
        while len(stage.gateway.requests) == 1 and time.monotonic() < end:
            time.sleep(0.005)
        return answer(b"{}", "application/json")

    stage.gateway.reply = slowly
    boxes = [threading.Thread(target=passes, args=(stage, directory_request())) for _ in range(4)]
    for box in boxes:
        box.start()
    for box in boxes:
        box.join(5)
    assert len(stage.gateway.requests) == 1


def only_a_directory_that_was_found_is_kept(stage):
    for status in ("404 Not Found", "503 Service Unavailable", "302 Found", "301 Moved Permanently"):
        stage.gateway.forget()
        stage.gateway.reply = lambda *_, status=status: answer(
            b"{}", "application/json", status, ["Cache-Control: public, max-age=9999"]
        )
        for _ in range(2):
            parted(stage.box.say(directory_request()))
        assert len(stage.gateway.requests) == 2, status


def what_is_kept_is_the_public_file_and_nothing_of_who_asked(stage):
    stage.gateway.reply = lambda *_: answer(b'{"week":"2026-W41"}', "application/json")
    passes(stage, directory_request(TELLING))
    ((_, kept),) = [one for one in stage.nginx.written().items() if one[0].startswith("cache/")]
    assert kept.endswith(b'{"week":"2026-W41"}')
    assert traces(kept) == []
    assert re.search(rb"\nKEY: (.*)\n", kept)[1] == WEEK.encode()


# --- the connections


def a_box_gets_a_fresh_connection_and_only_one_exchange(stage):
    with stage.box.connect() as line:
        line.settimeout(1.2)
        line.sendall((sealed_request(fields=("Connection: keep-alive",))) * 2)
        found = heard(line)
    assert found.count(b"HTTP/1.1 ") == 1
    assert parted(found)[1]["connection"] == "close"
    assert len(stage.gateway.requests) == 1


def many_boxes_share_few_connections_to_the_gateway(stage):
    for number in range(12):
        passes(stage, sealed_request(), f"127.0.0.{80 + number}")
    assert len(stage.gateway.requests) == 12
    assert stage.gateway.connections <= 2


def no_ticket_is_handed_out(stage):
    with stage.box.connect() as line:
        line.sendall(sealed_request())
        heard(line)
        assert not line.session.has_ticket


def no_session_is_taken_up_again(stage):
    session = None
    for _ in range(3):
        with stage.box.connect(session=session) as line:
            assert not line.session_reused
            line.sendall(sealed_request())
            heard(line)
            session = line.session


def older_tls_and_http_are_not_spoken(stage):
    older = Client(stage.box.port, stage.authority, version=ssl.TLSVersion.TLSv1_2)
    try:
        older.connect().close()
        raise AssertionError("it speaks TLS 1.2")
    except ssl.SSLError:
        pass
    newer = Client(stage.box.port, stage.authority)
    newer.context.set_alpn_protocols(["h2", "http/1.1"])
    with newer.connect() as line:
        assert line.selected_alpn_protocol() == "http/1.1"


def a_sealed_request_is_never_sent_twice(stage):
    passes(stage, sealed_request())
    stage.gateway.forget()
    stage.gateway.reply = lambda *_: None
    status, _, body = parted(stage.box.say(sealed_request()))
    assert len(stage.gateway.requests) == 1
    assert (status, json.loads(body)["type"]) == (502, "urn:stb-telemetry:problem:gateway-down")


def the_gateway_does_not_learn_that_a_box_hung_up(stage):
    passes(stage, sealed_request())
    until(lambda: stage.gateway.replied)
    stage.gateway.forget()

    def slowly(*_):
        time.sleep(0.2)
        return answer()

    stage.gateway.reply = slowly
    with stage.box.connect() as line:
        line.sendall(sealed_request())
        until(lambda: stage.gateway.requests)
    until(lambda: stage.gateway.replied)
    stage.gateway.reply = lambda *_: answer()
    passes(stage, sealed_request())
    assert stage.gateway.connections == 0, "the shared connection was closed"


def one_address_cannot_hold_all_connections(stage):
    go_on = threading.Event()
    stage.gateway.reply = lambda head, _: answer() if head.startswith(b"GET") or go_on.wait(5) else None
    lines = [stage.box.connect() for _ in range(16)]
    for line in lines:
        line.sendall(sealed_request())
    until(lambda: len(stage.gateway.requests) == 16)
    with stage.box.connect() as seventeenth:  # not said to the end: it would hang where it is let through
        seventeenth.settimeout(1)
        seventeenth.sendall(sealed_request())
        try:
            refused = heard(seventeenth)
        except AssertionError:
            refused = b""
    other = parted(stage.box.say(directory_request(), OTHER_BOX))[0]
    go_on.set()
    for line in lines:
        heard(line)
        line.close()
    status, _, body = parted(refused)
    assert (status, json.loads(body or b"{}").get("type")) == (429, "urn:stb-telemetry:problem:busy")
    assert other == 200, "other addresses are served meanwhile"
    passes(stage, sealed_request())


# --- the gateway is the gateway


def only_the_pinned_gateway_gets_anything(stage):
    for imposter in stage.imposters:
        stage.gateway.context = imposter
        stage.gateway.drop()
        status, _, body = parted(stage.box.say(sealed_request()))
        assert (status, stage.gateway.heard) == (502, 0)
        assert b"gateway-down" in body


def the_gateway_is_asked_for_by_its_name(stage):
    passes(stage, sealed_request())
    assert set(stage.gateway.names) == {"gateway.example"}


# --- what is left behind


def traces(raw):
    """What in these bytes tells of one box."""
    telling = (BOX.encode(), socket.inet_aton(BOX), OTHER_BOX.encode(), SEALED[:22], b"seven", b"10.0.0.7")
    return [one for one in telling if one in raw]


def a_body_is_never_in_a_file_and_goes_on_only_when_it_is_whole(stage):
    room = 1000 - len(sealed_request(fields=["X-Long: "])) + SEALED_SIZE
    raw = sealed_request(fields=[f"X-Long: {'7' * room}"])  # else nginx keeps the body beside the head
    with stage.box.connect() as line:
        line.sendall(raw[:-100])
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert [one for one in stage.nginx.held_files() if "/body/" in one] == []
            assert stage.gateway.heard == 0
            time.sleep(0.005)
        line.sendall(raw[-100:])
        assert parted(heard(line))[0] == 200
    assert [one for one in stage.nginx.written() if one.startswith("body/")] == []


def an_answer_is_never_in_a_file(stage):
    stage.gateway.reply = lambda *_: answer(bytes(9_000_000))
    with stage.box.connect() as line:
        line.sendall(sealed_request())
        until(lambda: stage.gateway.requests)
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert [one for one in stage.nginx.held_files() if "/proxy/" in one] == []
            time.sleep(0.005)


def no_file_tells_of_a_box_after_all_that_can_go_wrong(stage):
    passes(stage, sealed_request(fields=TELLING))
    passes(stage, directory_request(TELLING))
    stage.box.say(request("GET", "/seven/secret"))
    stage.box.say(sealed_request(SEALED + b"7"))
    stage.gateway.reply = lambda *_: None
    stage.box.say(sealed_request(fields=TELLING))
    stage.gateway.context = stage.imposters[0]
    stage.gateway.drop()
    stage.box.say(sealed_request(fields=TELLING))
    stage.box.say(directory_request(TELLING, "2026-W42"))
    with socket.create_connection(("127.0.0.1", stage.box.port), 5, source_address=(BOX, 0)) as line:
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")  # no TLS
        line.recv(999)
    with stage.box.connect() as line:
        line.sendall(sealed_request()[:-100])  # and hangs up
    written = stage.nginx.written()
    assert {name: traces(raw) for name, raw in written.items() if traces(raw)} == {}
    assert [
        name for name, raw in written.items() if b"2026-W4" in raw and not name.startswith("cache/")
    ] == []
    assert set(written) - {name for name in written if name.startswith("cache/")} == {"nginx.pid", "stderr"}
    assert written["stderr"] == b""


def a_crash_leaves_no_memory_behind(stage):
    stage.box.connect().close()  # so that the worker is there

    def limited():
        limits = [Path(f"/proc/{process}/limits").read_text() for process in stage.nginx.children()]
        return limits and all(re.search(r"Max core file size +0 +0 ", one) for one in limits)

    until(limited, 0.8)
