import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import bhttp
from shared.bhttp import Request, Response

REQUEST = Request("POST", "https", "example.com", "/f", (("content-type", "a/b"),), b"body")
RESPONSE = Response(202, (("content-type", "a/b"),), b"body")
HEAD = bytes.fromhex("00034745540568747470730b6578616d706c652e636f6d012f")  # RFC 9458, appendix A

names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=20)
values = st.text(string.ascii_letters + string.digits + " ,;=/\"'\t", max_size=80).map(str.strip)
headers = st.lists(st.tuples(names, values), max_size=5).map(tuple)


@given(headers, st.binary(max_size=20_000))
def test_a_request_survives_encoding(fields: bhttp.Headers, body: bytes) -> None:
    request = Request("POST", "https", "a.example:8443", "/ohttp?x=1", fields, body)
    assert bhttp.decode_request(bhttp.encode_request(request)) == request


@given(st.integers(200, 599), headers, st.binary(max_size=200))
def test_a_response_survives_encoding(status: int, fields: bhttp.Headers, body: bytes) -> None:
    response = Response(status, fields, body)
    assert bhttp.decode_response(bhttp.encode_response(response, 4096)) == response


@given(st.binary(max_size=120))
def test_no_bytes_make_the_reader_fail_in_another_way(raw: bytes) -> None:
    for decode in (bhttp.decode_request, bhttp.decode_response):
        for message in (raw, b"\x00" + raw, b"\x01" + raw):
            try:
                decode(message)
            except bhttp.BhttpError:
                continue


def test_the_bytes_are_those_of_the_standard() -> None:
    assert bhttp.encode_request(Request("GET", "https", "example.com", "/")) == HEAD + bytes(3)
    assert bhttp.encode_response(Response(200)) == bytes.fromhex("0140c8") + bytes(3)
    assert bhttp.encode_request(REQUEST) == (
        b"\x00\x04POST\x05https\x0bexample.com\x02/f\x11\x0ccontent-type\x03a/b\x04body\x00"
    )


@pytest.mark.parametrize("zeros", [0, 1, 2, 3, 50])
def test_empty_sections_at_the_end_may_be_missing(zeros: int) -> None:
    assert bhttp.decode_request(HEAD + bytes(zeros)) == Request("GET", "https", "example.com", "/")
    assert bhttp.decode_response(bytes.fromhex("0140c8") + bytes(zeros)) == Response(200)


def test_trailers_may_be_missing_behind_a_body() -> None:
    assert bhttp.decode_request(bhttp.encode_request(REQUEST)[:-1]) == REQUEST


def test_padded_messages_all_have_the_size_asked_for() -> None:
    sizes = {len(bhttp.encode_request(REQUEST._replace(body=bytes(n)), 512)) for n in range(100)}
    assert sizes == {512}
    exact = bhttp.encode_request(REQUEST)
    assert bhttp.encode_request(REQUEST, len(exact)) == exact
    with pytest.raises(bhttp.TooLargeError):
        bhttp.encode_request(REQUEST, len(exact) - 1)


def test_padding_that_is_not_zeros_is_refused() -> None:
    padded = bhttp.encode_request(REQUEST, 200)
    with pytest.raises(bhttp.PaddingError):
        bhttp.decode_request(padded[:-1] + b"\x01")
    with pytest.raises(bhttp.PaddingError):
        bhttp.decode_request(bhttp.encode_request(REQUEST) + b"\x01" + bytes(9))


@pytest.mark.parametrize("first", [b"\x01", b"\x02", b"\x03", b"\x04", b"\x40\x01"])
def test_another_framing_is_no_request(first: bytes) -> None:
    with pytest.raises(bhttp.WrongFramingError):
        bhttp.decode_request(first + HEAD[1:])


@pytest.mark.parametrize("first", [b"\x00", b"\x02", b"\x03"])
def test_another_framing_is_no_response(first: bytes) -> None:
    with pytest.raises(bhttp.WrongFramingError):
        bhttp.decode_response(first + bytes.fromhex("40c8"))


def test_a_message_cut_inside_a_part_is_refused() -> None:
    whole = bhttp.encode_request(REQUEST)
    allowed = {len(whole), len(whole) - 1, whole.index(b"\x04body"), whole.index(b"\x11\x0c")}
    for end in set(range(len(whole))) - allowed:
        with pytest.raises(bhttp.TruncatedMessageError):
            bhttp.decode_request(whole[:end])


def test_a_length_beyond_the_message_is_refused() -> None:
    with pytest.raises(bhttp.TruncatedMessageError):
        bhttp.decode_request(b"\x00\xff" + b"\xff" * 7 + b"GET")


def test_a_length_may_be_spelt_longer_than_needed() -> None:
    assert bhttp.decode_request(b"\x00\x40\x03GET" + HEAD[5:]).method == "GET"


def test_a_body_of_every_length_of_length_survives() -> None:
    for size in (63, 64, 16_383, 16_384):
        request = REQUEST._replace(body=bytes(size))
        assert bhttp.decode_request(bhttp.encode_request(request)) == request


def test_a_message_over_the_limit_is_refused() -> None:
    whole = bhttp.encode_request(REQUEST)
    assert bhttp.decode_request(whole, limit=len(whole)) == REQUEST
    with pytest.raises(bhttp.TooLargeError):
        bhttp.decode_request(whole, limit=len(whole) - 1)


def test_too_many_fields_are_refused_both_ways() -> None:
    most = REQUEST._replace(headers=(("a", "b"),) * 32)
    assert bhttp.decode_request(bhttp.encode_request(most)) == most
    with pytest.raises(bhttp.TooLargeError):
        bhttp.encode_request(REQUEST._replace(headers=(("a", "b"),) * 33))
    section = b"\x01a\x01b" * 33
    with pytest.raises(bhttp.TooLargeError):
        bhttp.decode_request(HEAD + b"\x40" + bytes([len(section)]) + section)


def test_trailers_are_refused() -> None:
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.decode_request(HEAD + b"\x00\x00\x04\x01a\x01b")


@pytest.mark.parametrize(
    "field",
    [
        ("Content-Type", "x"),
        (":method", "x"),
        ("", "x"),
        ("a b", "x"),
        ("a", "x\r\ny"),
        ("a", " x"),
        ("a", "x "),
        ("a", "\x00"),
        ("a", "ü"),
    ],
)
def test_a_field_that_is_not_allowed_is_refused_both_ways(field: tuple[str, str]) -> None:
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.encode_response(RESPONSE._replace(headers=(field,)))
    name, value = (part.encode() for part in field)
    section = bytes([len(name)]) + name + bytes([len(value)]) + value
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.decode_request(HEAD + bytes([len(section)]) + section)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "G T"},
        {"method": ""},
        {"scheme": "1"},
        {"authority": "a b"},
        {"path": "x"},
        {"path": "/\n"},
    ],
)
def test_control_data_that_is_not_allowed_is_refused_both_ways(changes: dict[str, str]) -> None:
    bad = REQUEST._replace(**changes)
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.encode_request(bad)
    raw = b"\x00" + b"".join(bytes([len(part)]) + part.encode() for part in bad[:4])
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.decode_request(raw)


@pytest.mark.parametrize("status", [0, 100, 103, 199, 600])
def test_a_status_that_is_not_final_is_refused_both_ways(status: int) -> None:
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.encode_response(Response(status))
    with pytest.raises(bhttp.MalformedMessageError):
        bhttp.decode_response(b"\x01" + (0x4000 | status).to_bytes(2, "big"))
