import base64
import os

import pytest

from box_agent.checks import anonymous
from box_agent.checks.step import CheckFailedError
from box_agent.lines import Answer
from box_agent.published import Pinned
from shared import bhttp
from shared.anonymous import INNER_ANSWER_SIZE
from shared.ohttp import Gateway
from tests.box_agent.fakes import ISSUER, OHTTP, PIN, W41, ZONE, sign_directory

PINNED = Pinned(PIN, ISSUER, str(ZONE))


class Line:
    """The anonymous line's other end, which answers as it is told."""

    def __init__(self, status=403, reason=b"week-not-over", raw=None):
        self.answer = bhttp.Response(status, (), reason)
        self.raw = raw
        self.inner = []

    def post_sealed(self, body):
        inner, context = Gateway(OHTTP, 1).open_request(body)
        self.inner.append(inner)
        answer = bhttp.encode_response(self.answer, INNER_ANSWER_SIZE)
        return Answer(200, self.raw or context.seal_response(answer, os.urandom(16)))

    def get_directory(self, _week):
        return Answer(200, self.raw)


def seal(line):
    return anonymous.sealed(line, W41, sign_directory(W41), PINNED, os.urandom)


def test_a_refusal_under_the_seal_is_what_has_to_come_back():
    assert seal(Line())[0] == "week-not-over"
    assert seal(Line(401, b"unknown-token-key"))[0] == "unknown-token-key"


def test_what_is_sealed_is_the_same_from_every_box_at_any_time():
    line = Line()
    for _ in range(3):
        seal(line)
    assert len(set(line.inner)) == 1
    token = base64.urlsafe_b64decode(bhttp.decode_request(line.inner[0]).headers[0][1].split('"')[1])
    assert token[2:] == bytes(352)


@pytest.mark.parametrize(
    "line", [Line(200, b""), Line(403, b"week-closed"), Line(raw=b"not sealed"), Line(raw=b"x" * 300)]
)
def test_any_other_answer_fails(line):
    with pytest.raises(CheckFailedError):
        seal(line)


def test_a_directory_that_differs_by_a_byte_fails():
    raw = sign_directory(W41)
    assert anonymous.directory(Line(raw=raw), W41, raw)[0] == raw
    with pytest.raises(CheckFailedError, match="another"):
        anonymous.directory(Line(raw=raw + b" "), W41, raw)
