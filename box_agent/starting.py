"""The first moments of an agent: lock, store, socket. Then it takes events, and the rest is loaded.

Imports little; see `box_agent.lean`.
"""

from __future__ import annotations

import _socket
import fcntl
import gc
import os

from box_agent.core import Core
from box_agent.front import Front
from box_agent.lean import NamedTuple
from box_agent.listener import Listener
from box_agent.store import DamagedStoreError, ReadOnlyStoreError
from shared.errors import StbError
from shared.system_clock import SystemClock, boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from shared.clock import Clock

LOCK = "lock"
_HANDED = "BOX_AGENT_HANDED"
FIRST_WORD_S = 0.25
DAMAGED = "damaged"
"""A file that the agent leaves when it meets damage while it runs: the next start looks after it."""


class AlreadyRunningError(StbError):
    """Another agent holds this state directory."""


class Places(NamedTuple):
    """Where an agent's files are: its folder, its socket, and where the consent stands a second time."""

    state: str
    socket: str
    witness: str


class Handed(NamedTuple):
    """What an agent that begins anew in the same process goes on with, as file descriptors."""

    lock: int
    sockets: list[int]

    @classmethod
    def taken(cls) -> Handed | None:
        """What was handed over, if anything was; it is not told to anybody else."""
        told = os.environ.pop(_HANDED, "")
        if not told:
            return None
        numbers = [int(one) for one in told.split(",")]
        for number in numbers:
            os.set_inheritable(number, False)  # noqa: FBT003 (it takes no name)
        return cls(numbers[0], numbers[1:])

    def give(self) -> None:
        """Keep them open over `exec`, and leave word of them."""
        for number in (self.lock, *self.sockets):
            os.set_inheritable(number, True)  # noqa: FBT003 (likewise)
        os.environ[_HANDED] = ",".join(map(str, (self.lock, *self.sockets)))


class Lock:
    """One agent a state directory; the kernel lets go of it when the process ends, however it ends.

    Raises, when it is entered:
        AlreadyRunningError: another agent holds it.
        ReadOnlyStoreError: the folder cannot be made or written.
    """

    def __init__(self, state: str, handed: Handed | None = None) -> None:
        self._state = state
        self.held = handed.lock if handed else -1

    def __enter__(self) -> Lock:  # noqa: PYI034 (`Self` is typing's, and dear)
        if self.held >= 0:
            return self  # it never was let go
        try:
            os.makedirs(self._state, mode=0o700, exist_ok=True)  # noqa: PTH103 (see box_agent.store)
            self.held = os.open(f"{self._state}/{LOCK}", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise ReadOnlyStoreError(f"{self._state}: {error.strerror}") from error
        try:
            fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self.held)
            raise AlreadyRunningError(f"another agent holds {self._state}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.held)


class Started(NamedTuple):
    """An agent that takes events: its lock, its core, and what answers."""

    lock: Lock
    core: Core
    front: Front
    listener: Listener


def start_and_run(config: str, places: Places) -> int:
    """Take events, load the rest, and run until told to stop; see `box_agent.running.carry_on`.

    The garbage collector has been off since the first import, a tenth of the time until here.
    """

    def load_and_run(started: Started) -> int:
        started.front.wait_to_be_spoken_to(FIRST_WORD_S)
        gc.enable()
        from box_agent.running import carry_on

        return carry_on(config, places, started)

    handed = Handed.taken()
    try:
        return begin(places, SystemClock(), handed, load_and_run)
    except StbError as error:
        return refuse(error)


def begin(places: Places, clock: Clock, handed: Handed | None, go_on: Callable[[Started], int]) -> int:
    """Take the lock, open the core and answer whoever speaks, as long as `go_on` runs; answers as it does.

    Raises:
        AlreadyRunningError: another agent holds the lock.
        StoreError: see `open_core`.
    """
    with Lock(places.state, handed) as lock:
        core = open_core(places, clock)
        front = Front(core)
        sockets = handed.sockets if handed else ()
        listener = Listener(places.socket, front.answer, front.answered, front.turn_away, sockets)
        tell_ready()
        try:
            return go_on(Started(lock, core, front, listener))
        finally:
            listener.close()


def open_core(places: Places, clock: Clock) -> Core:
    """The core over its store; a damaged store is mended first, as far as it can be.

    Raises:
        StoreError: the store cannot be opened; its subclass says why.
    """
    marker = f"{places.state}/{DAMAGED}"
    if not os.path.lexists(marker):
        try:
            return Core(places.state, places.witness, clock, boot_id())
        except DamagedStoreError:
            pass
    from box_agent.salvage import salvage

    salvage(places.state, clock.now())
    return Core(places.state, places.witness, clock, boot_id())


def refuse(error: StbError) -> int:
    """Say why the agent does not run; answers with the exit status."""
    import sys

    sys.stderr.write(f"{error}\n")
    return 2


def tell_ready() -> None:
    """Tell the service manager that events are taken (systemd's sd_notify(3)), if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        path = "\0" + address[1:] if address[0] == "@" else address
        notify = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:  # noqa: SIM105 (contextlib is one more import before the first event)
            notify.sendto(b"READY=1", path)
        except OSError:
            pass
        notify.close()
