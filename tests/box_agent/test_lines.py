import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from box_agent import lines
from box_agent.lines import (
    MAX_SEALED_ANSWER,
    HttpAnonymousLine,
    HttpNamedLine,
    LineDownError,
    RefusedError,
    problem_name,
)
from shared import directory
from tests.deploy.certificates import Authority


class Far(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._note(self.rfile.read(int(self.headers["Content-Length"])))

    def do_GET(self) -> None:
        self._note(b"")

    def _note(self, body: bytes) -> None:
        server: Any = self.server
        server.seen.append((self.path, dict(self.headers), body, self.client_address))
        status, answer = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Set-Cookie", "mark=1; Path=/")
        self.send_header("ETag", '"7"')
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def far() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Far)
    server.seen, server.answer = [], (200, b"{}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def url(far: Any) -> str:
    return f"http://127.0.0.1:{far.server_port}"


def test_the_named_line_posts_and_fetches_with_its_entity_tag(far: Any) -> None:
    line = HttpNamedLine(url(far) + "/", None)
    assert line.post("chain", b"{}").body == b"{}"
    assert line.get("catalogue", '"6"').etag == '"7"'
    line.close()
    paths = [(path, headers.get("If-None-Match")) for path, headers, _, _ in far.seen]
    assert paths == [("/billing/v1/chain", None), ("/billing/v1/catalogue", '"6"')]


def test_the_anonymous_line_says_the_same_each_time_over_fresh_connections_and_keeps_no_cookie(
    far: Any,
) -> None:
    line = HttpAnonymousLine(url(far), None)
    for _ in range(3):
        line.post_sealed(b"sealed")
    line.get_directory("2026-W41")
    posts = far.seen[:3]
    assert posts[0][:3] == posts[1][:3] == posts[2][:3]
    assert posts[0][0] == "/ohttp"
    assert posts[0][1] == {
        "Host": f"127.0.0.1:{far.server_port}",
        "User-Agent": "stb-telemetry",
        "Accept-Encoding": "identity",
        "Content-Type": "message/ohttp-req",
        "Connection": "close",
        "Content-Length": "6",
    }
    assert len({port for *_, (_, port) in far.seen}) == 4
    assert far.seen[3][0] == "/directory/2026-W41"


def test_neither_line_keeps_cookies(far: Any) -> None:
    line = HttpNamedLine(url(far), None)
    line.get("catalogue")
    line.get("catalogue")
    line.close()
    assert "Cookie" not in far.seen[1][1]


@pytest.mark.parametrize("status", [500, 503, 429, 302, 408])
def test_what_may_pass_is_a_line_that_is_down(far: Any, status: int) -> None:
    far.answer = (status, b"")
    with pytest.raises(LineDownError):
        HttpAnonymousLine(url(far), None).post_sealed(b"x")


def test_a_problem_answer_is_a_refusal_with_its_name(far: Any) -> None:
    far.answer = (403, b'{"type": "urn:stb-telemetry:problem:not-reporting-box", "status": 403}')
    with pytest.raises(RefusedError) as refusal:
        HttpAnonymousLine(url(far), None).post_sealed(b"x")
    assert (refusal.value.name, refusal.value.status) == ("not-reporting-box", 403)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"type": ""}', b'{"type": 7}'])
def test_a_refusal_without_a_name_is_called_refused(body: bytes) -> None:
    assert problem_name(body) == "refused"


def test_an_answer_that_is_too_long_is_not_read_to_its_end(far: Any) -> None:
    far.answer = (200, b"x" * (MAX_SEALED_ANSWER + 1))
    with pytest.raises(LineDownError):
        HttpAnonymousLine(url(far), None).post_sealed(b"x")


def test_the_directory_s_limit_is_the_one_that_all_share() -> None:
    assert lines.MAX_DIRECTORY == directory.MAX_DIRECTORY


def test_nobody_there_is_a_line_that_is_down() -> None:
    with pytest.raises(LineDownError):
        HttpNamedLine("http://127.0.0.1:9", None).post("chain", b"{}")


# --- an end that answers a byte at a time


class Dripping(http.server.BaseHTTPRequestHandler):
    """Answers for as long as somebody listens, in its header or in a body, whose length it says or not."""

    def do_GET(self) -> None:
        server: Any = self.server
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + server.first)
        try:
            while not server.over.wait(0.05):
                self.wfile.write(b"x")
        except OSError:
            server.cut.set()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=[b"X-Mark: ", b"Content-Length: 4096\r\n\r\n", b"Connection: close\r\n\r\n"])
def dripping(request: pytest.FixtureRequest) -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    server.first, server.over, server.cut = request.param, threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["named", "anonymous"])
def test_an_answer_that_drips_is_cut_when_its_time_is_over_and_is_none(
    dripping: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WHOLE_S", 0.5)
    fetch: Callable[[], object] = {
        "named": lambda: HttpNamedLine(url(dripping), None).get("catalogue"),
        "anonymous": lambda: HttpAnonymousLine(url(dripping), None).get_directory("2026-W41"),
    }[name]
    with pytest.raises(LineDownError):
        fetch()
    assert dripping.cut.wait(10), "the connection is gone"


def test_an_answer_that_drips_over_tls_is_cut_too(
    dripping: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = Authority("an authority")
    context.load_cert_chain(*authority.issue(tmp_path, "headend", "127.0.0.1"))
    dripping.socket = context.wrap_socket(dripping.socket, server_side=True)
    monkeypatch.setattr(lines, "WHOLE_S", 0.5)
    line = HttpNamedLine(
        f"https://127.0.0.1:{dripping.server_port}", str(authority.write(tmp_path / "ca.pem"))
    )
    with pytest.raises(LineDownError):
        line.get("catalogue")
    assert dripping.cut.wait(10), "the connection is gone"
