import http.server
import threading
from collections.abc import Iterator
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
    thread = threading.Thread(target=server.serve_forever, daemon=True)
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
