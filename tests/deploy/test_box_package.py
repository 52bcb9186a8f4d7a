"""The box's package holds two packages and nothing else, starts from its own tree, and is reproducible."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path

import pytest

from box_agent.client import AgentClient
from box_agent.settings import ENVIRONMENT, BoxSettings
from tests.box_agent.fakes import PIN

ROOT = Path(__file__).parents[2]
BOX = ROOT / "deploy" / "box"
LIBRARY = Path("usr/lib/box-agent")


def needs(program):
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"no {program} here")


def build(out, **environment):
    command = [sys.executable, str(BOX / "package.py"), "--out", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=out.parent, env=os.environ | environment
    )
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    needs("dpkg-deb")
    return build(tmp_path_factory.mktemp("built") / "dist", SOURCE_DATE_EPOCH="1790000000")


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    # What the package asks the box's image for; no project of its own lies there.
    vendor = folder / LIBRARY / "vendor"
    vendor.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "stb_telemetry" not in path.name and path.suffix != ".pth":
            (vendor / path.name).symlink_to(path)
    return folder


def listed(package):
    done = subprocess.run(["dpkg-deb", "-c", str(package)], capture_output=True, text=True, check=True)
    return [line.split(maxsplit=5) for line in done.stdout.splitlines()]


def test_it_carries_the_boxs_two_packages_and_nothing_of_anybody_else(package):
    modules = [Path(row[5]) for row in listed(package) if f"./{LIBRARY}/" in row[5]]
    rooms = {path.parts[3] for path in modules if len(path.parts) > 3}
    assert rooms == {"box_agent", "shared"}
    carried = {str(path.relative_to(LIBRARY)) for path in modules if path.suffix not in {"", ".pyc"}}
    there = {
        str(path.relative_to(ROOT))
        for room in ("box_agent", "shared")
        for path in (ROOT / room).rglob("*.*")
        if path.suffix != ".pyc"
    }
    assert carried == there
    beside = {row[5] for row in listed(package) if not row[5].endswith("/") and f"./{LIBRARY}/" not in row[5]}
    assert beside == {
        "./etc/box-agent.toml.example",
        "./lib/systemd/system/box-agent.service",
        "./usr/bin/box-agent",
        "./usr/share/doc/box-agent/README.md",
        "./usr/share/doc/box-agent/box.md",
        "./usr/share/doc/box-agent/copyright",
    }


def test_every_file_is_roots_and_nobody_else_may_write_it(package):
    for mode, owner, *_rest, name in listed(package):
        assert owner == "root/root", name
        assert mode[5] == mode[8] == "-", name


def test_every_module_is_compiled_and_never_compared_by_time(package, tree):
    sources = sorted((tree / LIBRARY).glob("box_agent/**/*.py"))
    assert len(sources) > 50
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 0b01, "hash-based, unchecked (PEP 552)"


def test_building_twice_gives_the_same_bytes(package, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    again = build(
        tmp_path / "elsewhere" / "dist", SOURCE_DATE_EPOCH="1790000000", PYTHONHASHSEED="7", TZ="Asia/Tokyo"
    )
    assert again.read_bytes() == package.read_bytes()


def test_its_scripts_are_shell_and_keep_the_state_until_a_purge(package, tmp_path):
    subprocess.run(["dpkg-deb", "-e", str(package), str(tmp_path)], check=True)
    for name in ("postinst", "prerm", "postrm"):
        subprocess.run(["sh", "-n", str(tmp_path / name)], check=True)
    deleting = (tmp_path / "postrm").read_text().partition('[ "$1" = purge ]')
    assert "/var/lib/box-agent" in deleting[2]
    others = deleting[0] + (tmp_path / "prerm").read_text() + (tmp_path / "postinst").read_text()
    assert "rm " not in others


class Unpacked:
    """A box on which the package has been unpacked."""

    def __init__(self, tree, folder):
        self.command = [sys.executable, "-IS", str(tree / "usr/bin/box-agent")]
        self.state = folder / "state"
        self.config = folder / "box.toml"
        self.socket = folder / "run" / "agent.sock"
        self.socket.parent.mkdir()
        given = {
            "headend_url": "http://127.0.0.1:9",
            "relay_url": "http://127.0.0.1:9",
            "issuer": "i.example",
        }
        given |= {"directory_key": PIN, "catalogue_key": PIN, "zone": "Europe/Amsterdam", "serial": "s-1"}
        given |= {"state_dir": str(self.state), "socket_path": str(self.socket)}
        self.config.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items()))
        self.environment = {
            "BOX_AGENT_STATE_DIR": str(self.state),
            "BOX_AGENT_SOCKET_PATH": str(self.socket),
            "BOX_AGENT_CONSENT_FILE": str(self.state / "consent.json"),
        }

    def ask(self, *words):
        command = [*self.command, "--config", str(self.config), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)


def test_it_starts_from_its_own_tree_and_takes_an_event(tree, tmp_path):
    box = Unpacked(tree, tmp_path)
    assert box.ask("consent", "grant", "--notice", "2", "--language", "fr").returncode == 0
    command = [*box.command, "--config", str(box.config), "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=box.environment, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            until = time.monotonic() + 30
            while not box.socket.exists():
                assert child.poll() is None, child.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.01)
            with AgentClient(box.socket) as agent:
                assert agent.event("play", item={"kind": "live", "genre": 67, "ref": "x"})
                assert agent.ask("status")["anonymous"]["events"] == 1
            mapped = Path(f"/proc/{child.pid}/maps").read_text()
            assert str(ROOT) not in mapped.replace(sys.prefix, "")
        finally:
            child.terminate()
            child.wait(30)
    told = box.ask("status", "--language", "nl")
    assert "Toestemming: ja" in told.stdout
    assert not list((tree / LIBRARY).glob("**/*.pyc.*")), "it writes nothing beside its modules"


def test_its_modules_come_from_its_own_tree(tree):
    code = "import box_agent.running, box_agent.selftest, shared.hpke, sys;"
    code += "print({m.__file__.rsplit('/lib/box-agent/', 1)[0] for n, m in sys.modules.items()"
    code += " if n.split('.')[0] in ('box_agent', 'shared') and getattr(m, '__file__', None)})"
    start = f"import sys; sys.path[:0] = [{str(tree / LIBRARY)!r}, {str(tree / LIBRARY / 'vendor')!r}];"
    done = subprocess.run(
        [sys.executable, "-IS", "-c", start + code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str({str(tree / "usr")})


# --- the unit


def unit():
    found = configparser.RawConfigParser(strict=False)
    found.optionxform = str
    found.read_string((BOX / "box-agent.service").read_text())
    return found


def test_unit_and_example_say_the_same_places():
    text = (BOX / "box-agent.service").read_text()
    told = dict(re.findall(r"^Environment=BOX_AGENT_(\w+)=(.+)$", text, re.MULTILINE))
    example = tomllib.loads((BOX / "box-agent.toml.example").read_text())
    assert {name.lower(): value for name, value in told.items()} == {
        name: example[name] for name in ("state_dir", "socket_path", "consent_file")
    }
    assert set(example) <= set(BoxSettings.__struct_fields__)
    assert ENVIRONMENT == "BOX_AGENT_"


def test_the_unit_wakes_no_box_and_always_starts_again():
    text = (BOX / "box-agent.service").read_text()
    assert not list(BOX.glob("*.timer"))
    assert not re.search(r"^(WakeSystem|Wants|Requires|BindsTo)=", text, re.MULTILINE)
    service = unit()["Service"]
    assert (service["Type"], service["Restart"], service["RestartSec"]) == ("notify", "always", "1")
    assert unit()["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["ExecStart"] == "/usr/bin/box-agent run"
    # The start of the machine is told there: an agent has to see whether it is still the same.
    assert "ProcSubset" not in service


def test_systemd_finds_no_fault_in_the_unit(tree, tmp_path):
    needs("systemd-analyze")
    text = (BOX / "box-agent.service").read_text()
    path = tmp_path / "box-agent.service"
    path.write_text(text.replace("/usr/bin/box-agent", str(tree / "usr/bin/box-agent")))
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_counts_the_unit_among_the_well_guarded():
    needs("systemd-analyze")
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--threshold=15",
        str(BOX / "box-agent.service"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
