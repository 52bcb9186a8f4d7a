"""What a generator is told and what it tells: plain records, handed over as files."""

from pathlib import Path

import msgspec

NO_BOX = -1


class Kind(msgspec.Struct, frozen=True, array_like=True):
    """How one kind of request is sent: over which nodes, as what; whether its answers are kept.

    A kind that `chains` is a box's submission, which the generator puts together.
    """

    nodes: str
    method: str
    path: str
    content_type: str = ""
    keeps_answers: bool = False
    chains: bool = False


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """One arrival: at a planned moment a client sends a body, or a box places so many further messages.

    A box sends all of its messages that are not acknowledged, as the agent does, one submission at a time.
    """

    at_us: int
    kind: str
    body: bytes = b""
    box: int = NO_BOX
    places: int = 0


class Backoff(msgspec.Struct, frozen=True, array_like=True):
    """Boxes come again after a failure as the agent's own code says, its waits divided by `speed`."""

    speed: float
    seed: int


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """All that a generator does. `nodes` are base addresses by name, used in turn.

    `begun` tells of each box how many messages were acknowledged before its chain here begins, and how many
    of the chain it has placed already (none, if it is empty).
    """

    nodes: dict[str, list[str]]
    kinds: dict[str, Kind]
    asks: list[Ask]
    boxes: list[list[bytes]]
    timeout_s: float = 30.0
    most_connections: int = 2000
    backoff: Backoff | None = None
    give_up_s: float = 600.0
    window_s: float = 0.0
    begun: list[tuple[int, int]] = []


class Measured(msgspec.Struct, array_like=True):
    """What came of one kind: how often each status was answered, and the latencies of answers in us.

    `in_time` are good answers that came before the plan's window was over.
    """

    statuses: dict[str, int]
    good_us: list[int]
    refused_us: list[int]
    in_time: int
    answers: dict[int, bytes]


class Second(msgspec.Struct, array_like=True):
    """One second of a run: requests sent, answered well, refused; and the most that were in flight."""

    sent: int = 0
    good: int = 0
    refused: int = 0
    most: int = 0


class Result(msgspec.Struct, array_like=True):
    """What a generator has seen. `late_us` is how far behind its own schedule it sent, at worst and at p99.

    `acked` is each box's last acknowledged message; `served_s` when each box was served for good.
    """

    kinds: dict[str, Measured]
    acked: list[int]
    placed: list[int]
    wall_s: float
    cpu_s: float
    late_us: tuple[int, int]
    seconds: list[Second]
    served_s: list[float]


def write(path: Path, record: msgspec.Struct) -> None:
    """Hand a record over."""
    path.write_bytes(msgspec.msgpack.encode(record))


def read_plan(path: Path) -> Plan:
    """Take a plan over."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Plan)


def read_result(path: Path) -> Result:
    """Take a result over."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Result)
