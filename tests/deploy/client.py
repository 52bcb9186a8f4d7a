"""Raw bytes over TLS, from an address that can be searched for."""

import socket
import ssl

from tests.deploy.nginx import BOX


class Client:
    """Speaks to one port of an nginx; `believes` is the file of the authority."""

    def __init__(self, port, believes, shows=None, version=None):
        self.port = port
        self.context = ssl.create_default_context(cafile=str(believes))
        if version is not None:
            self.context.minimum_version = self.context.maximum_version = version
        if shows is not None:
            self.context.load_cert_chain(*shows)

    def connect(self, source=BOX, name="127.0.0.1", session=None):
        """A connection that is through with its handshake."""
        line = socket.create_connection(("127.0.0.1", self.port), 5, source_address=(source, 0))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return self.context.wrap_socket(line, server_hostname=name, session=session)
        except OSError:
            line.close()
            raise

    def say(self, raw, source=BOX):
        """Send these bytes, and read until the other end closes."""
        with self.connect(source) as line:
            line.sendall(raw)
            return heard(line)


def heard(line):
    """All that comes until the other end closes."""
    found = b""
    while True:
        try:
            some = line.recv(65536)
        except (ssl.SSLEOFError, ConnectionResetError):
            return found
        except TimeoutError as error:
            raise AssertionError(f"it stays open after {found[:200]!r}") from error
        if not some:
            return found
        found += some


def request(method, target, body=None, fields=(), host="relay.example"):
    """A request as it goes over the wire."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body is not None and not any(one.lower().startswith("content-length") for one in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def parted(raw):
    """Status, header fields by lower-case name, and body of a raw answer."""
    raw = raw.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for one in lines:
        name, _, value = one.partition(": ")
        fields[name.lower()] = value
    return int(first.split()[1]) if first else 0, fields, body
