"""The shipped configuration, run as a process of its own in a folder of its own."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from simulator.processes import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
BOX = "127.0.0.77"
"""Where the boxes of these tests come from; it stands in no configuration, so it can be searched for."""


def binary():
    """Where nginx is; where it is not the test is skipped, but not on the machine that checks everything."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None and not os.environ.get("CI"):
        pytest.skip("no nginx here")
    assert found, "no nginx"
    return found


def statements(text):
    """Each simple directive, and each `if`, of a configuration, without its comments."""
    bare = re.sub(r"(?m)(^|\s)#.*$", "", text)
    found = re.findall(r"""(?:"[^"]*"|'[^']*'|[^;{}"'])+[;{]""", bare)
    return [" ".join(one.split()) for one in found]


def lines_without_mutant(shipped, mutants, plain):
    """Lines that no mutant alters and nobody has excused, and excuses for lines that are not there."""
    excused = {line for lines in plain.values() for line in lines}
    found, standing = [], set()
    for name, text in shipped.items():
        there, touched = Counter(statements(text)), Counter()
        for file, old, new, _ in mutants:
            if file == name:
                touched |= there - Counter(statements(text.replace(old, new)))
        found += there.keys() - touched.keys() - excused
        standing |= there.keys()
    return sorted(found) + sorted(excused - standing)


class Nginx:
    """One nginx with its worker; `ports` maps the ports of the shipped files to those of this test."""

    def __init__(self, folder, kind, values, mutant=None, beside=()):
        self.prefix, self.configuration = folder / "prefix", folder / "configuration"
        self.prefix.mkdir()
        self._mutant = mutant
        self.ports = {}
        for name in ("nginx.conf", "values.conf", *beside):
            text = (DEPLOY / kind / name).read_text()
            (self.configuration / name).write_text(self._suited(self._mutated(name, text), values))
        rights = " user root;" if os.geteuid() == 0 else ""  # as itself; installed, it has an account
        command = [binary(), "-e", "stderr", "-p", f"{self.prefix}/"]
        command += ["-c", str(self.configuration / "nginx.conf"), "-g", f"daemon off;{rights}"]
        with (self.prefix / "stderr").open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=said)
        self._await()

    def _mutated(self, name, text):
        if self._mutant is None or self._mutant[0] != name:
            return text
        assert text.count(self._mutant[1]) == 1, f"{self._mutant[1]!r} stands {text.count(self._mutant[1])}x"
        return text.replace(self._mutant[1], self._mutant[2])

    def _suited(self, text, values):
        for shipped, own in values.items():
            text = text.replace(shipped, own)
        text = re.sub(r"(?m)^ *listen \[::\].*\n", "", text)
        return re.sub(
            r"listen (?:127\.0\.0\.1:)?(\d+)\b", lambda at: f"listen 127.0.0.1:{self._port(int(at[1]))}", text
        )

    def _port(self, shipped):
        if shipped not in self.ports:
            self.ports[shipped] = free_port()
        return self.ports[shipped]

    def _await(self):
        for port in self.ports.values():
            for _ in range(2500):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert self._process.poll() is None, (self.prefix / "stderr").read_text()
                    time.sleep(0.002)
            else:
                raise AssertionError("nginx does not listen")

    def children(self):
        """The process ids of worker and cache keepers."""
        master = self._process.pid
        return [int(one) for one in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def held_files(self):
        """Ordinary files beneath the prefix that some process of it has open, also deleted ones."""
        held = set()
        for process in self.children():
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                try:
                    target = str(descriptor.readlink())
                except OSError:
                    continue
                if target.startswith(str(self.prefix)) and not target.endswith("/stderr"):
                    held.add(target)
        return held

    def written(self):
        """Every file beneath the prefix, by its path there."""
        return {
            str(path.relative_to(self.prefix)): path.read_bytes()
            for path in self.prefix.rglob("*")
            if path.is_file()
        }

    def stop(self):
        """Stop it as a service manager would."""
        self._process.terminate()
        self._process.wait()
