"""What a check answers: fine, a warning, or broken, in one sentence, with what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one thing stands."""

    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class Answer:
    """A check's answer: what is so, and what to do where it is not fine (a command where there is one)."""

    verdict: Verdict
    says: str
    do: str = ""


@dataclass(frozen=True)
class Finding:
    """An answer under the name of its check."""

    check: str
    verdict: Verdict
    says: str
    do: str


def fine(says: str) -> Answer:
    """All is well."""
    return Answer(Verdict.FINE, says)


def warning(says: str, do: str) -> Answer:
    """It works, and somebody should look at it."""
    return Answer(Verdict.WARNING, says, do)


def broken(says: str, do: str) -> Answer:
    """It does not work, or will not hold."""
    return Answer(Verdict.BROKEN, says, do)
