"""The steps of a self-test: each has a verdict and a reason, and one that fails does not stop the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.errors import StbError

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
_T = TypeVar("_T")


class CheckFailedError(StbError):
    """What was looked at is not as it has to be; the message says what, and what to do."""


class CheckSkippedError(StbError):
    """It cannot or shall not be looked at now; the message says why."""


@dataclass(frozen=True)
class Step:
    """One thing that was looked at; `where` is "box", "named line" or "anonymous line"."""

    number: int
    where: str
    name: str
    verdict: str
    detail: str


class Steps:
    """The steps taken so far."""

    def __init__(self) -> None:
        self.taken: list[Step] = []

    def take(self, where: str, name: str, look: Callable[[], tuple[_T, str]]) -> _T | None:
        """Look at one thing; answers with what was found there, None if that failed or was skipped.

        `look` answers with what it found and a sentence about it.
        """
        try:
            found, detail = look()
        except CheckSkippedError as reason:
            self._note(where, name, SKIPPED, str(reason))
        except (StbError, OSError) as error:
            self._note(where, name, FAILED, f"{error}" or type(error).__name__)
        else:
            self._note(where, name, OK, detail)
            return found
        return None

    @property
    def failed(self) -> bool:
        """Whether any step failed."""
        return any(step.verdict == FAILED for step in self.taken)

    def _note(self, where: str, name: str, verdict: str, detail: str) -> None:
        self.taken.append(Step(len(self.taken) + 1, where, name, verdict, detail))


def needed(found: _T | None, what: str) -> _T:
    """What an earlier step found.

    Raises:
        CheckSkippedError: that step found nothing.
    """
    if found is None:
        raise CheckSkippedError(f"needs {what}")
    return found
