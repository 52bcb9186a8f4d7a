"""A server on loopback that speaks as Kodi does, for what a real one does too seldom."""

import json
import socket
import threading
from contextlib import suppress

from box_agent.chance import below
from box_agent.sources.json_stream import JsonStream
from box_agent.sources.kodi import Kodi
from box_agent.sources.kodi_player import KodiPlayer
from shared.system_clock import SystemClock
from tests.box_agent.sources.kodi_talk import items


class FakeKodi:
    """Answers questions with what is `on`, as long as it is not `mute`."""

    def __init__(self, port=0):
        self._server = socket.create_server(("127.0.0.1", port))
        self.address = self._server.getsockname()
        self.on = None
        self.mute = False
        self.lines = []
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    def say(self, method, **found):
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": {"data": found}}).encode())

    def send(self, raw):
        self.lines[-1].sendall(raw)

    def crash(self):
        """As a killed process leaves its connections."""
        for line in self.lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._server.close()

    def drop(self):
        """Close what is open, but go on listening."""
        self.lines[-1].shutdown(socket.SHUT_RDWR)

    def _serve(self):
        with suppress(OSError):
            while True:
                line, _ = self._server.accept()
                self.lines.append(line)
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line):
        stream = JsonStream()
        with suppress(OSError):
            while piece := line.recv(4096):
                for message in stream.feed(piece):
                    self.asked.append(message["method"])
                    if not self.mute:
                        answer = {"id": message["id"], "jsonrpc": "2.0", **self._answer(message["method"])}
                        line.sendall(json.dumps(answer).encode())

    def _answer(self, method):
        match method:
            case "Player.GetActivePlayers":
                return {"result": [{"playerid": 1, "type": "video"}] if self.on else []}
            case "Player.GetItem":
                return {"result": {"item": self.on}} if self.on else {"error": {"code": -32100}}
            case "Player.GetProperties":
                return {"result": {"speed": 1}}
            case _:
                return {"result": "OK"}


class Watched:
    """A source in its thread, and what it has reported."""

    def __init__(self, address, clock=None):
        self.events = []
        self._stop = threading.Event()
        chance = below(lambda size: b"\x10" * size)  # an eighth of the longest wait, as chance would have it
        self.source = Kodi(address, lambda: KodiPlayer(items()), clock or SystemClock(), chance)
        self._thread = threading.Thread(target=self.source.run, args=(self.events.append, self._stop))
        self._thread.start()

    def names(self):
        return [one.event for one in self.events]

    def stop(self):
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()
