"""What was measured, as it stands in `measured.toml`: the model's inputs. `record` measures anew."""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from time import process_time

import msgspec

from benchmarks.capacity import disk, served
from headend.billing.signer import RsaSigner
from shared.system_clock import SystemClock

FILE = Path(__file__).with_name("measured.toml")
SIGNATURES = 300
FRAGMENTS = 9_000
_APART = re.compile(r"accepted, durable, over HTTP\s+(\d+) CPU us")
_HEAD = """# What feeds the model of docs/capacity.md, written by `python -m benchmarks.capacity --measure`.
# The jobs' figures are in growth.json, written by `python -m benchmarks.growth --json`.
"""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Measured costs.

    Attributes:
        date: When they were measured.
        machine: On what.
        cpu_us: Microseconds of CPU time for one of each.
        wire: Bytes of one exchange, both directions, without TLS, TCP and IP.
        disk: Bytes on disk of one of each.
    """

    date: str
    machine: str
    cpu_us: dict[str, float]
    wire: dict[str, float]
    disk: dict[str, float]


def read(path: Path = FILE) -> Measured:
    """The recorded figures."""
    return msgspec.convert(tomllib.loads(path.read_text()), Measured)


def record(machine: str, path: Path = FILE) -> Measured:
    """Measure everything, which takes about four minutes, and write it down."""
    cpu: dict[str, float] = {}
    wire: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="stb-served-") as folder:
        for one in served.exchanges(Path(folder)):
            cpu[one.kind], wire[one.kind] = one.cpu_us, one.wire
    with tempfile.TemporaryDirectory(prefix="stb-tls-") as folder:
        cpu["handshake"], wire["handshake"] = served.handshake(Path(folder))
    wire["offer"] = served.catalogue()
    wire["token"] = (wire.pop("tokens") - wire["one token"]) / 2
    wire["token request"] = wire.pop("one token") - wire["token"]
    cpu["signature"] = _signature()
    cpu["token"] = (cpu.pop("tokens") - cpu["one token"]) / 2
    cpu["token request"] = cpu.pop("one token") - cpu["token"]
    cpu["fragment apart"] = _apart()
    found = Measured(
        date=SystemClock().now().date().isoformat(),
        machine=machine,
        cpu_us={name: round(value, 1) for name, value in cpu.items()},
        wire={name: round(value) for name, value in wire.items()},
        disk=disk.measured(),
    )
    path.write_text(_HEAD + _toml(found))
    return found


def _signature() -> float:
    """A blind signature alone, in microseconds."""
    signer, blinded = RsaSigner.generate(), bytes(1) + bytes([7]) * 255
    signer.blind_sign(blinded)
    began = process_time()
    for _ in range(SIGNATURES):
        signer.blind_sign(blinded)
    return 1e6 * (process_time() - began) / SIGNATURES


def _apart() -> float:
    """A fragment at the gateway's own process, over HTTP, in microseconds: `benchmarks.gateway` measures it.

    Raises:
        ValueError: that benchmark did not tell.
    """
    command = [sys.executable, "-m", "benchmarks.gateway", "--fragments", str(FRAGMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = _APART.search(done.stdout)
    if told is None:
        raise ValueError(done.stdout + done.stderr)
    return float(told[1])


def _toml(found: Measured) -> str:
    lines = [f'date = "{found.date}"', f'machine = "{found.machine}"']
    for name in ("cpu_us", "wire", "disk"):
        lines += ["", f"[{name}]"]
        lines += [f'"{key}" = {value:g}' for key, value in sorted(getattr(found, name).items())]
    return "\n".join(lines) + "\n"
