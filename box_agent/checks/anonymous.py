"""What a self-test sends on the anonymous line: a request for what is public, and one that counts nothing.

Not a bit of it depends on the box. The sealed request carries a fragment that says `none`, of the running
week, with a token of zeros, the same from every box: the gateway opens it, refuses what is inside and seals
the refusal, which is all that is to be seen. No token is spent, and there is nothing to count.
"""

from box_agent.chance import RandomBytes
from box_agent.checks.step import CheckFailedError
from box_agent.lines import AnonymousLine
from box_agent.published import Pinned, open_directory
from box_agent.sealing import seal_fragment
from shared.anonymous import NONE_CELL, Fragment
from shared.bhttp import BhttpError, decode_response
from shared.ohttp import OhttpError
from shared.tokens import DIGEST_BYTES, MODULUS_BYTES, NONCE_BYTES, Token
from shared.weeks import Week

NO_TOKEN = Token(bytes(NONCE_BYTES), bytes(DIGEST_BYTES), bytes(DIGEST_BYTES), bytes(MODULUS_BYTES))
REFUSALS = frozenset({"week-not-over", "unknown-token-key"})
"""What the gateway says of it: the week runs, and no key has that id; see docs/protocol.md."""


def directory(line: AnonymousLine, week: Week, named: bytes) -> tuple[bytes, str]:
    """The relay brings the same directory as the named line, byte for byte."""
    raw = line.get_directory(str(week)).body
    if raw != named:
        raise CheckFailedError("the relay's is another than the named line's: ask the operator why")
    return raw, f"{week}, the same {len(raw)} bytes"


def sealed(
    line: AnonymousLine, week: Week, raw: bytes, pinned: Pinned, random_bytes: RandomBytes
) -> tuple[str, str]:
    """A sealed request goes through the relay, is opened, refused, and the refusal comes back sealed."""
    found = open_directory(raw, pinned, week)
    nothing = Fragment(found.profile.measures[0].number, week, NONE_CELL, 0)
    request = seal_fragment(nothing, NO_TOKEN.encode(), found.directory.key_config(), random_bytes)
    answer = line.post_sealed(request.body)
    try:
        inner = decode_response(request.context.open_response(answer.body))
    except (OhttpError, BhttpError) as error:
        raise CheckFailedError("the answer does not open: it is not the gateway's") from error
    reason = inner.body.decode("ascii", "replace")
    if reason not in REFUSALS:
        raise CheckFailedError(f"the gateway answered {inner.status} {reason}, which it should not")
    return reason, f"refused under the seal, as it has to be: {reason}"
