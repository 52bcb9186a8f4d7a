"""The units of a headend: systemd finds no fault in them, and what they start runs as they say."""

import configparser
import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from headend.__main__ import main
from headend.apart import set_apart
from headend.app import open_headend
from headend.installation import Installation
from simulator.processes import wait_until
from tests.builders import SETTINGS
from tests.deploy.nginx import DEPLOY

FOLDER = DEPLOY / "headend"
OPERATING = (DEPLOY.parent / "docs" / "operating.md").read_text()
UNITS = sorted(path.stem for path in FOLDER.glob("*.service"))
SERVED = ["stb-analytics", "stb-billing", "stb-fragments", "stb-headend"]
HEADEND = [sys.executable, "-m", "headend"]
REFUSE_EXECUTABLE_MEMORY = 65, 1  # prctl(2): PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN


def needs_systemd():
    if shutil.which("systemd-analyze") is None and not os.environ.get("CI"):
        pytest.skip("no systemd-analyze here")


def unit(name, section="Service"):
    found = configparser.RawConfigParser(strict=False)
    found.optionxform = str
    found.read_string((FOLDER / f"{name}.service").read_text())
    return found[section]


def test_systemd_finds_no_fault_in_the_units(tmp_path):
    needs_systemd()
    paths = []
    for path in [*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")]:
        text = path.read_text().replace("/opt/stb/bin/headend", shutil.which("true"))
        paths.append(tmp_path / path.name)
        paths[-1].write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(paths))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("drop_in", "name"),
    [
        ("database", "stb-headend"),
        ("database-backup", "stb-backup"),
        ("database-apart", "stb-billing"),
        ("database-apart", "stb-backup@"),
    ],
)
def test_a_unit_with_databases_elsewhere_is_sound_and_reaches_these_alone(tmp_path, drop_in, name):
    needs_systemd()
    text = (FOLDER / f"{name}.service").read_text().replace("/opt/stb/bin/headend", shutil.which("true"))
    added = (FOLDER / f"{drop_in}.conf").read_text()
    (tmp_path / f"{name}.service").write_text(text)
    (tmp_path / f"{name}.service.d").mkdir()
    (tmp_path / f"{name}.service.d" / "database.conf").write_text(added)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"{name}.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "IPAddressDeny=any" in text
    if "PrivateNetwork=yes" in text:
        assert "\nPrivateNetwork=no\nRestrictAddressFamilies=AF_INET AF_INET6\n" in added
    assert re.findall(r"(?m)^IPAddressAllow=(.*)$", added) == ["192.0.2.10 192.0.2.11"]
    for side in re.findall(r"HEADEND_([A-Z]+)_DATABASE_FILE=%d/", added):
        assert f"LoadCredential={side.lower()}:" in added


def test_the_address_of_the_page_needs_no_resolver_and_no_file_that_is_roots_alone():
    page = (DEPLOY.parent / "docs" / "nodes.md").read_text()
    (address,) = re.findall(r"(?m)^    (postgresql://\S*sslrootcert\S*)$", page)
    said = conninfo_to_dict(address)
    allowed = re.search(r"(?m)^IPAddressAllow=(.*)$", (FOLDER / "database.conf").read_text())[1]
    assert said["hostaddr"].split(",") == allowed.split()
    assert len(said["host"].split(",")) == len(allowed.split())
    (place,) = re.findall(r"(?m)^    install -m 0644 db-ca\.pem (\S+)$", page)
    assert said["sslrootcert"] == place
    assert not place.startswith("/etc/stb/")


@pytest.mark.parametrize("name", UNITS)
def test_systemd_counts_the_units_among_the_best_guarded(name):
    needs_systemd()
    most = "12" if name == "stb-headend" else "5"  # tenths: it alone has a network, of which loopback is left
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={most}"]
    done = subprocess.run(
        [*command, str(FOLDER / f"{name}.service")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_may_write_to_its_own_folders_only_and_its_memory_is_not_dumped(name):
    service = unit(name)
    user = service["User"]
    assert service["StateDirectory"] == user
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    assert service["ProtectSystem"] == "strict"
    assert service["LimitCORE"] == service["MemorySwapMax"] == "0"
    own = {"stb-billing": "/var/spool/stb/billing", "stb-analytics": "/var/spool/stb/analytics"}
    more = {
        "stb-exchange": "/var/spool/stb/root",
        "stb-backup": "/var/backups/stb",
        "stb-backup@": "/var/backups/%i",
    }
    assert service.get("ReadWritePaths") == (own | more).get(name)


@pytest.mark.parametrize(
    "name", ["stb-analytics", "stb-fragments", "stb-billing", "stb-exchange", "stb-backup", "stb-backup@"]
)
def test_what_is_served_apart_has_no_network_at_all(name):
    service = unit(name)
    assert service["PrivateNetwork"] == "yes"
    assert service["RestrictAddressFamilies"] == "AF_UNIX"
    assert service["IPAddressDeny"] == "any"
    assert "--host" not in service["ExecStart"]


def test_no_two_sides_have_one_user():
    users = {name: unit(name)["User"] for name in UNITS if "@" not in name}
    assert users["stb-fragments"] == users["stb-analytics"]
    assert users["stb-backup"] == users["stb-headend"]
    assert len(set(users.values())) == 4
    made = re.findall(r"(?m)^u (\S+)", (FOLDER / "stb.sysusers.conf").read_text())
    assert set(users.values()) | {"stb-gateway"} == set(made)


def test_every_user_that_keeps_a_folder_has_a_place_for_its_backups():
    text = (FOLDER / "stb.tmpfiles.conf").read_text()
    for user in {unit(name)["User"] for name in UNITS} - {"%i"}:
        assert re.search(rf"(?m)^d /var/backups/{user} +0700 {user} +{user} ", text)


def test_the_backup_of_sides_apart_is_that_of_all_sides_with_another_user():
    whole, apart = unit("stb-backup"), unit("stb-backup@")
    own = {"User", "Group", "StateDirectory", "ReadWritePaths", "ExecStart"}
    assert {name for name in whole if whole[name] != apart.get(name)} == own
    assert {re.sub("%i", "stb", apart[name]) for name in own} == {whole[name] for name in own}


@pytest.mark.parametrize("name", UNITS)
def test_every_command_of_a_unit_is_one_that_there_is(name):
    words = unit(name)["ExecStart"].split("/opt/stb/bin/headend ")[1].strip("'").split()
    options = [word for word in words if word.startswith("--")]
    known = {opt for parameter in main.commands[words[0]].params for opt in parameter.opts}
    assert set(options) <= known


def test_every_file_is_installed_by_the_page_and_the_page_installs_no_other():
    section = OPERATING.split("\n### As services\n")[1].split("\n### ")[0].split("\n## ")[0]
    named = set(re.findall(r"[\w.@-]+\.(?:service|timer|conf)\b", re.sub("@stb-[a-z]+", "@", section)))
    shipped = {path.name for path in FOLDER.iterdir()} - {"README.md"}
    assert shipped <= named
    assert named - shipped <= {"stb.conf", "values.conf"}


def test_an_upgrade_and_a_downgrade_as_the_page_says_change_what_the_units_start(tmp_path):
    page = OPERATING.replace("/opt/", f"{tmp_path}/")
    links = re.findall(r"\bln -[^\n`]+", page)
    for version in ("0.1.0", "N"):
        (tmp_path / f"stb-{version}").mkdir()
    assert len(links) == 3, "installing, upgrading, going back"
    for one, version in zip(links, ("0.1.0", "N", "0.1.0"), strict=True):
        subprocess.run(one.split(), check=True)
        assert (tmp_path / "stb").resolve() == tmp_path / f"stb-{version}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stb", "stb-0.1.0", "stb-N"]
    assert not re.search(r"venv /opt/stb\s", OPERATING), "a folder cannot be made to lead elsewhere"


class Unix(HTTPConnection):
    def __init__(self, path):
        super().__init__("headend", timeout=5)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(5)
        self.sock.connect(str(self._path))


def asked(path, target):
    line = Unix(path)
    try:
        line.request("GET", target, headers={"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"})
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        line.close()


def without_executable_memory():
    """As MemoryDenyWriteExecute= does it, where the kernel can; whatever is started inherits it."""
    ctypes.CDLL(None).prctl(*REFUSE_EXECUTABLE_MEMORY, 0, 0, 0)


def may_run_as(user):
    """Whether this is root, and another user may read this Python and what it has installed."""
    if os.geteuid() != 0:
        return False
    try:
        command = [sys.executable, "-c", "import flask, granian, headend.app"]
        subprocess.run(command, check=True, capture_output=True, user=user, group=user, extra_groups=[])
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Started:
    """What a unit starts, on a folder and a socket of this test, as a user of its own if this is root."""

    def __init__(self, name, folder, runtime, user):
        self.socket = runtime / f"{name}.sock"
        words = unit(name)["ExecStart"].split()[1:]
        words[1] = str(folder)
        words[words.index("--socket") + 1] = str(self.socket)
        who = {"user": user, "group": user, "extra_groups": []} if may_run_as(user) else {}
        environment = {
            **os.environ,
            "HEADEND_EXCHANGE": str(runtime / "spool"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.log = runtime / f"{name}.log"
        with self.log.open("wb") as said:
            self.process = subprocess.Popen(
                [*HEADEND, *words],
                stdout=said,
                stderr=said,
                umask=0o077,
                cwd=DEPLOY.parent,
                env=environment,
                preexec_fn=without_executable_memory,  # noqa: PLW1509 (one system call)
                **who,
            )
        wait_until(lambda: self.answers("/healthz") or self.process.poll() is not None, name, 30)
        assert self.answers("/healthz"), self.log.read_text()

    def answers(self, target):
        return asked(self.socket, target)[0] == 200

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


USERS = {"stb-billing": 61001, "stb-analytics": 61002}
PARTS = {"stb-billing": ("billing", "console"), "stb-analytics": ("analytics", "console")}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Both sides started as their units start them."""
    folder = tmp_path_factory.mktemp("units")
    for above in (folder, *folder.parents):
        if (
            os.access(above, os.W_OK)
            and above.stat().st_uid == os.geteuid()
            and not above.stat().st_mode & 0o001
        ):
            above.chmod(0o711)  # of this run alone; what is in it is what is looked at
    whole = Installation.create(folder / "whole", SETTINGS)
    open_headend(whole).close()
    started = {}
    for name, sides in PARTS.items():
        set_apart(whole, folder / name, sides)
        runtime = folder / f"run-{name}"
        runtime.mkdir()
        if may_run_as(USERS[name]):
            for path in (folder / name, *(folder / name).rglob("*"), runtime):
                os.chown(path, USERS[name], USERS[name])
        started[name] = Started(name, folder / name, runtime, USERS[name])
    yield folder, started
    for one in started.values():
        one.stop()


def test_sides_run_apart_on_sockets_with_the_keys_that_they_have(parts):
    _, started = parts
    billing, analytics = started["stb-billing"], started["stb-analytics"]
    assert billing.answers("/readyz")
    assert analytics.answers("/readyz")
    assert asked(billing.socket, "/analytics/directory/2026-W41")[0] == 404
    assert asked(analytics.socket, "/billing/v1/catalogue")[0] == 404
    assert 'side="billing"' in asked(billing.socket, "/metrics")[1]
    assert asked(analytics.socket, "/console/")[0] == 303


def test_the_socket_is_for_its_group_and_no_other(parts):
    _, started = parts
    for one in started.values():
        assert one.socket.stat().st_mode & 0o777 == 0o660


@pytest.mark.skipif(os.geteuid() != 0, reason="users are root's to change")
def test_one_sides_user_can_read_nothing_of_the_others(parts):
    folder, _ = parts
    names = list(PARTS)
    for reader, owner in (names, names[::-1]):
        command = (
            f"find {folder / owner} -type f 2>/dev/null; cat {folder / owner}/*.db {folder / owner}/keys/*/*"
        )
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            check=False,
            user=USERS[reader],
            group=USERS[reader],
            extra_groups=[],
        )
        assert done.stdout == b""


def test_no_unit_waits_for_a_watchdog_that_nobody_feeds():
    # granian tells the service manager nothing, so a watchdog would end a headend that is well.
    assert not [name for name in UNITS if "WatchdogSec" in unit(name) or unit(name)["Type"] == "notify"]


def test_the_spool_is_written_by_its_owners_alone():
    text = (FOLDER / "stb.tmpfiles.conf").read_text()
    for side, owner in (("billing", "stb-billing"), ("analytics", "stb-analytics"), ("root", "stb-exchange")):
        assert re.search(rf"(?m)^d /var/spool/stb/{side} +0755 {owner} +{owner} ", text)
    assert Path("/var/spool/stb/root") == Path(unit("stb-exchange")["ReadWritePaths"])
