"""One size for every sealed request and every sealed answer; nothing else crosses the anonymous line."""

import re

import pytest

from tests.promises.test_unlinkable_bytes import taped

pytestmark = [pytest.mark.promise, pytest.mark.journey]


def exchanges(town):
    """Requests and answers between boxes and relay, split into head and body."""
    return [
        (label, *message.partition(b"\r\n\r\n")[::2])
        for label, message in taped(town.tape)
        if b"\r\n\r\n" in message
    ]


def test_every_sealed_request_is_of_one_size(town):
    sizes = {len(body) for _, head, body in exchanges(town) if head.startswith(b"POST /ohttp") and body}
    # The adversary sent one of another size, which the relay refused.
    assert len(sizes) <= 2
    usual = max(sizes, key=lambda size: sum(len(b) == size for _, h, b in exchanges(town)))
    assert sum(len(body) != usual for _, h, body in exchanges(town) if h.startswith(b"POST /ohttp")) <= 1


def test_every_sealed_answer_is_of_one_size(town):
    answers = [
        len(body)
        for _, head, body in exchanges(town)
        if head.startswith(b"HTTP/1.1 200") and b"message/ohttp-res" in head
    ]
    assert len(answers) > 300
    assert len(set(answers)) == 1


def test_requests_carry_no_header_that_could_tell_boxes_apart(town):
    heads = {
        re.sub(rb"Host: [^\r]*|/directory/[^ ]*", b"", head)
        for _, head, _ in exchanges(town)
        if head.startswith((b"POST /ohttp", b"GET /directory"))
    }
    names = {line.split(b":")[0].lower() for head in heads for line in head.split(b"\r\n")[1:] if line}
    assert not names & {
        b"cookie",
        b"authorization",
        b"x-forwarded-for",
        b"forwarded",
        b"if-none-match",
        b"date",
    }


def test_boxes_reach_nothing_but_the_two_addresses(town):
    paths = {
        re.sub(rb"\d{4}-W\d\d", b"WEEK", head.split(b" ")[1])
        for _, head, _ in exchanges(town)
        if head.startswith((b"POST ", b"GET ")) and b" 4" not in head[:20]
    }
    assert {b"/ohttp", b"/directory/WEEK"} <= paths
