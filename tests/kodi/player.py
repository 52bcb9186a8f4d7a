"""The real Kodi, headless, in a home of its own."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from itertools import count

from simulator.processes import free_port
from tests.kodi.programs import KODI

START_SECONDS = 60
_SETTINGS = """<settings version="2">
<setting id="services.esenabled">true</setting>
<setting id="services.esallinterfaces">false</setting>
<setting id="videolibrary.updateonstartup">false</setting>
<setting id="addons.updatemode">2</setting>
<setting id="screensaver.mode"></setting>
</settings>
"""
_ADVANCED = """<advancedsettings><jsonrpc><tcpport>{port}</tcpport></jsonrpc>
<loglevel>0</loglevel></advancedsettings>
"""
_TELEVISION = """<settings version="2">
<setting id="m3uPathType">0</setting>
<setting id="m3uPath">{m3u}</setting>
<setting id="m3uCache">false</setting>
<setting id="epgPathType">0</setting>
<setting id="epgPath">{xmltv}</setting>
<setting id="epgCache">false</setting>
<setting id="catchupEnabled">true</setting>
<setting id="catchupDays">7</setting>
<setting id="catchupOnlyOnFinishedProgrammes">false</setting>
<setting id="logoPathType">0</setting>
</settings>
"""
# Kodi refuses to enable the add-on without these, which play kinds of streams that the tests do not have.
_UNUSED = ("inputstream.adaptive", "inputstream.ffmpegdirect", "inputstream.rtmp")
_PLACEHOLDER = """<addon id="{name}" version="99.0.0" name="{name}" provider-name="test">
<requires/><extension point="xbmc.python.module" library="lib"/>
<extension point="xbmc.addon.metadata"><platform>all</platform></extension></addon>
"""


class Screen:
    """A virtual screen with software GL."""

    def __init__(self):
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x360x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as said:
            self.display = f":{said.readline().strip()}"

    def stop(self):
        """Take it away."""
        self._process.terminate()
        self._process.wait()


class Kodi:
    """One Kodi; `ask` speaks JSON-RPC to it as a remote control would."""

    def __init__(self, home, screen, m3u, xmltv):
        self.home, self.port = home, free_port()
        self._screen = screen
        self._process = None
        self._ids = count(1)
        self._connection = None
        userdata = home / ".kodi" / "userdata"
        television = userdata / "addon_data" / "pvr.iptvsimple"
        television.mkdir(parents=True)
        (userdata / "guisettings.xml").write_text(_SETTINGS)
        (userdata / "advancedsettings.xml").write_text(_ADVANCED.format(port=self.port))
        (television / "settings.xml").write_text(_TELEVISION.format(m3u=m3u, xmltv=xmltv))
        for name in _UNUSED:
            folder = home / ".kodi" / "addons" / name
            (folder / "lib").mkdir(parents=True)
            (folder / "addon.xml").write_text(_PLACEHOLDER.format(name=name))

    def start(self):
        """Start it and wait until it answers."""
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "DISPLAY": self._screen.display,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "KODI_AE_SINK": "NULL",
            "TZ": "Europe/Amsterdam",
        }
        with (self.home / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [str(KODI), "--standalone"], env=environment, stdout=said, stderr=said, cwd=self.home
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, (self.home / "said").read_text()[-2000:]
            try:
                self._connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
                self.ask("JSONRPC.Ping")
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise AssertionError("Kodi does not answer")

    def enable_television(self, channels):
        """Enable the add-on and wait for so many channels."""
        for name in (*_UNUSED, "pvr.iptvsimple"):
            self.ask("Addons.SetAddonEnabled", addonid=name, enabled=True)
        self.await_channels(channels)

    def await_channels(self, channels):
        """Wait for so many channels, and their guide."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            found = self.channels()
            if len(found) == channels and all(one.get("broadcastnow") for one in found.values()):
                return
            time.sleep(0.3)
        raise AssertionError(f"no {channels} channels with a guide: {found}")

    def add_films(self, folder, count):
        """Let the library know a folder of films with their cards, and wait until it has so many."""
        (path,) = (self.home / ".kodi" / "userdata" / "Database").glob("MyVideos*.db")
        with closing(sqlite3.connect(path, timeout=30)) as library, library:
            library.execute(
                "INSERT INTO path (strPath, strContent, strScraper, scanRecursive, useFolderNames) "
                "VALUES (?, 'movies', 'metadata.local', 2147483647, 1)",
                (f"{folder}/",),
            )
        self.ask("VideoLibrary.Scan", directory=f"{folder}/")
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            found = self.ask("VideoLibrary.GetMovies", properties=["genre"]).get("movies", [])
            if len(found) == count:
                return {one["label"]: one["movieid"] for one in found}
            time.sleep(0.2)
        raise AssertionError(f"no {count} films: {found}")

    def past(self, channel):
        """The broadcasts of a channel that are over; Kodi numbers them about a minute after its start."""
        params = {
            "channelid": self.channels()[channel]["channelid"],
            "properties": ["starttime", "wasactive"],
        }
        until = time.monotonic() + 2 * START_SECONDS
        while time.monotonic() < until:
            found = self.ask("PVR.GetBroadcasts", **params).get("broadcasts", [])
            over = [one for one in found if one["wasactive"]]
            if over and "broadcastid" in over[0]:
                return over
            time.sleep(0.5)
        raise AssertionError("Kodi's guide has no numbers")

    def channels(self):
        """Kodi's channels by name."""
        try:
            found = self.ask("PVR.GetChannels", channelgroupid="alltv", properties=["broadcastnow"])
        except AssertionError:
            return {}
        return {one["label"]: one for one in found.get("channels", [])}

    def ask(self, method, **params):
        """Ask, and give the result; notifications on this connection are dropped."""
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self._connection.sendall(json.dumps(request).encode())
        buffer = ""
        decoder = json.JSONDecoder()
        while True:
            raw = self._connection.recv(65536)
            if not raw:
                raise ConnectionResetError("Kodi has gone")
            buffer += raw.decode()
            while buffer:
                try:
                    message, end = decoder.raw_decode(buffer)
                except ValueError:
                    break
                buffer = buffer[end:].lstrip()
                if message.get("id") == number:
                    assert "error" not in message, message
                    return message["result"]

    def freeze(self):
        """Let it hang: the socket stays open, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self):
        """As a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._connection.close()

    def stop(self):
        """Whatever it does, let it be gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._connection is not None:
            self._connection.close()
