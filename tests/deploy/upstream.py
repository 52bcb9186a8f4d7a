"""A server that remembers every byte that reached it; with a context it speaks TLS."""

import contextlib
import socket
import ssl
import threading


def answer(body=b"sealed answer", kind="message/ohttp-res", status="200 OK", more=()):
    """An HTTP answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Recorder:
    """What stands behind the relay, or behind the headend's door, in their tests.

    `reply` is a function of (head, body); None closes the connection without a word.
    """

    def __init__(self, context):
        self.context = context
        self.forget()
        self.reply = lambda *_: answer()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open = set()
        self._ending = False
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while not self._ending:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line):
        if self.context is not None:
            self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        line.settimeout(10)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(line)
        wrapped = line
        try:
            if self.context is not None:
                wrapped = self.context.wrap_socket(line, server_side=True)
            self._open.discard(line)
            self._open.add(wrapped)
            self.connections += 1
            while self._exchange(wrapped):
                pass
        except OSError:
            pass
        finally:
            self._open.discard(line)
            self._open.discard(wrapped)
            wrapped.close()

    def _exchange(self, line):
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += self._hear(line)
        head, _, body = raw.partition(b"\r\n\r\n")
        lengths = [one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")]
        wanted = int(lengths[0].partition(b":")[2]) if lengths and head.startswith(b"POST") else 0
        while len(body) < wanted:
            body += self._hear(line)
        self.requests.append((head, body))
        reply = self.reply(head, body)
        if reply is None:
            return False
        line.sendall(reply)
        self.replied += 1
        return True

    def _hear(self, line):
        some = line.recv(65536)
        if not some:
            raise OSError
        self.heard += len(some)
        return some

    def drop(self):
        """Let all connections go, so that the next request needs a new one."""
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def forget(self):
        """Begin a new account of what was heard."""
        self.connections, self.requests, self.names = 0, [], []
        self.heard = self.replied = 0

    def close(self):
        """Stop."""
        self._ending = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.drop()


def server_context(certificate, key, clients_of):
    """TLS 1.3 that demands a certificate which `clients_of` has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(clients_of)
    return context
