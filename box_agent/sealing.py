"""A fragment, sealed: one token, binary HTTP, Oblivious HTTP; every sealed request has one size.

RFC 9577 (the authorization header), RFC 9292 (binary HTTP), RFC 9458 (Oblivious HTTP). Nothing goes in but
the fragment and its token.
"""

from dataclasses import dataclass

from box_agent.chance import RandomBytes
from shared.anonymous import (
    FRAGMENT_AUTHORITY,
    FRAGMENT_PATH,
    FRAGMENT_TYPE,
    INNER_REQUEST_SIZE,
    Fragment,
)
from shared.bhttp import BhttpError, Request, decode_response, encode_request
from shared.errors import StbError
from shared.ohttp import ClientContext, KeyConfig, OhttpError, encapsulate_request
from shared.tokens import Token, authorization_header


class UnreadableAnswerError(StbError):
    """The sealed answer does not open, or is no answer: as good as none."""


@dataclass(frozen=True)
class Sealed:
    """What is sent, and what opens the answer to it."""

    body: bytes
    context: ClientContext

    def open(self, answer: bytes) -> int:
        """The status within a sealed answer.

        Raises:
            UnreadableAnswerError: it does not open.
        """
        try:
            return decode_response(self.context.open_response(answer)).status
        except (OhttpError, BhttpError) as error:
            raise UnreadableAnswerError(str(error)) from error


def seal_fragment(fragment: Fragment, token: bytes, config: bytes, random_bytes: RandomBytes) -> Sealed:
    """Seal a fragment afresh, with its token, for the gateway of a key configuration.

    Raises:
        OhttpError: the key configuration cannot be used.
        TokenError: the token has another form.
    """
    headers = (("authorization", authorization_header(Token.decode(token))), ("content-type", FRAGMENT_TYPE))
    request = Request("POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH, headers, fragment.encode())
    inner = encode_request(request, INNER_REQUEST_SIZE)
    return Sealed(*encapsulate_request(KeyConfig.decode(config), inner, random_bytes))
