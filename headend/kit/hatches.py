"""Hatches past Flask: addresses that take one body and give one, asked so often that a framework costs most.

Only the plain case is answered here: the one method and type, and a length within the limit. Everything else
goes to Flask, which has the same address and refuses in its own words.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from headend.kit.http import PROBLEM_TYPE, RefusedError, problem_body

log = logging.getLogger(__name__)

Answer = tuple[HTTPStatus, str, bytes]
"""Status, content type, body."""


class NotTakenError(RefusedError):
    """The database did not take it."""

    name = "storage"
    status = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True)
class Hatch:
    """One address that is posted to: its type and limit, what answers a group, and what counts a refusal.

    `answer_all` gives as many answers as it gets bodies, in their order; an exception is an answer.
    """

    takes: str
    limit: int
    gives: str
    together: int
    answer_all: Callable[[list[bytes]], Sequence[bytes | Exception]]
    count: Callable[[str], None]

    def suits(self, method: str, kind: str | None, length: str | None) -> bool:
        """Whether a request is the plain case."""
        plain = method == "POST" and kind == self.takes
        return plain and length is not None and length.isdecimal() and int(length) <= self.limit

    def answer(self, bodies: list[bytes]) -> list[Answer]:
        """Answer a group, whatever happens."""
        try:
            found = self.answer_all(bodies)
        except Exception as error:  # noqa: BLE001 (whatever it is, those who wait are told to come again)
            found = [error] * len(bodies)
        return [self._told(one) for one in found]

    def _told(self, found: bytes | Exception) -> Answer:
        if isinstance(found, bytes):
            return HTTPStatus.OK, self.gives, found
        if isinstance(found, RefusedError):
            self.count(found.name)
            return found.status, PROBLEM_TYPE, problem_body(found)
        log.error("at a hatch: %s", type(found).__name__, exc_info=found)
        return NotTakenError.status, PROBLEM_TYPE, problem_body(NotTakenError())
