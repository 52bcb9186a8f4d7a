"""Whether a server may listen where it is told to, asked before it does.

granian's listeners share a port with whoever else does (SO_REUSEPORT), so that two installations would split
the requests; and it does not take the place of a socket file that a killed process has left.
"""

import socket
from pathlib import Path

from shared.errors import StbError

Where = Path | tuple[str, int]
"""A Unix socket, or a host and a port."""


class ListeningError(StbError):
    """Nobody can listen there now; the message says why."""


def check_free(where: Where) -> None:
    """Refuse a place where another process listens, or nobody may; a socket that nobody answers is removed.

    Raises:
        ListeningError: it is such a place.
    """
    try:
        if isinstance(where, Path):
            _try_socket(where)
        else:
            _try_port(*where)
    except OSError as error:
        told = where if isinstance(where, Path) else f"port {where[1]} of {where[0]}"
        raise ListeningError(f"{told}: {error.strerror or error}") from error


def _try_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # A predecessor's last connections are no listener; one that would share the port is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _try_socket(path: Path) -> None:
    if path.is_socket():
        _remove_left(path)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()


def _remove_left(path: Path) -> None:
    """Remove a socket that a killed process has left.

    Raises:
        ListeningError: somebody answers.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise ListeningError(f"{path}: another process listens there")
