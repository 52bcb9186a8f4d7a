"""A loopback proxy that counts bytes, and one that ends TLS, so that an agent's lines can be weighed."""

import contextlib
import ipaddress
import socket
import ssl
import threading
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_PIECE = 65536
_HOST = "127.0.0.1"
_DAYS = 2


class Proxy:
    """Passes what comes on to a port of this machine; counts bytes of the stream, both directions.

    With `tls` it ends TLS and counts what is within. TCP's and IP's own headers are not counted.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._to = port
        self._tls = tls
        self._lock = threading.Lock()
        self.sent = self.received = self.connections = 0
        self._listening = socket.create_server((_HOST, 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def total(self) -> int:
        """All bytes until now."""
        with self._lock:
            return self.sent + self.received

    def close(self) -> None:
        """Take no further connection."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(here,), daemon=True).start()

    def _serve(self, here: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls is not None:
                here = self._tls.wrap_socket(here, server_side=True)
            stack.enter_context(here)
            there = stack.enter_context(socket.create_connection((_HOST, self._to)))
            back = threading.Thread(target=self._pass, args=(there, here, "received"), daemon=True)
            back.start()
            self._pass(here, there, "sent")
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, counter: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                with self._lock:
                    setattr(self, counter, getattr(self, counter) + len(piece))
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def own_tls(folder: Path, now: datetime) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate of its own (ECDSA P-256), and the file that pins it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pinned, private = folder / "pinned.pem", folder / "private.pem"
    pinned.write_bytes(certificate.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pinned, private)
    return context, pinned
