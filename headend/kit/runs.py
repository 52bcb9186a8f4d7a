"""What is recorded of a job's turn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """A turn that is recorded as done, and when (Unix milliseconds of the installation's clock)."""

    slot: str
    done_ms: int
