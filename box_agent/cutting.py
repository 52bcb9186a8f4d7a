"""An end to exchanges that never end.

A timeout of silence alone ends nothing: whoever answers a byte at a time could hold an exchange open for as
long as it liked, and with it whatever waits for that.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

AGAIN_S = 0.2
"""Seconds between two attempts to cut what is only being connected."""


class TooLongError(TimeoutError):
    """The exchange had to be cut; what was read of it is not whole."""


class Cutting:
    """Cuts the sockets of one HTTP client, which has one exchange at a time."""

    def __init__(self) -> None:
        self._sockets: WeakSet[Any] = WeakSet()

    def watch(self, pools: dict[str, Any]) -> dict[str, Any]:
        """Classes of connection pools, by scheme, as these are (urllib3), but that sockets are noted.

        A socket is noted when it is connected, TLS included, for which there is a limit; a connection that is
        to be closed has let go of its socket before the answer is read.
        """
        return {scheme: _with_connections(pool, self._sockets.add) for scheme, pool in pools.items()}

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut what is exchanged here when so many seconds are over.

        Raises:
            TooLongError: it was cut.
        """
        done, cut = threading.Event(), threading.Event()

        def watch() -> None:
            left = seconds
            while not done.wait(left):
                cut.set()
                self._cut()
                left = AGAIN_S

        watcher = threading.Thread(target=watch, name="cutting")
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            if cut.is_set():
                raise TooLongError(f"not over within {seconds:g} s")

    def _cut(self) -> None:
        for one in list(self._sockets):
            with suppress(OSError):  # closed already
                one.shutdown(socket.SHUT_RDWR)


def _with_connections(pool: Any, note: Callable[[Any], None]) -> Any:  # noqa: ANN401 (a class of urllib3's)
    plain = pool.ConnectionCls

    def connect(self: Any) -> None:  # noqa: ANN401 (a connection of urllib3's)
        plain.connect(self)
        note(self.sock)

    connection = type(plain.__name__, (plain,), {"connect": connect})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
