"""Build the box's Debian package: box_agent and shared, a unit and a command. Same input, same bytes.

    python3 deploy/box/package.py [--out dist] [--vendor] [--python /usr/bin/python3]

`--vendor` adds what they import, from locks/box.txt by its hashes, for this machine's architecture. Modules
are compiled ahead and never compared with their source (PEP 552, unchecked): the agent starts without writing
and without asking. SOURCE_DATE_EPOCH dates the files; left out, the last commit does
(reproducible-builds.org).
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGES = ("box_agent", "shared")
LIBRARY = Path("usr/lib/box-agent")
NOT_ON_A_BOX = frozenset(
    {"editables", "hatchling", "packaging", "pathspec", "pip", "tomlkit", "trove-classifiers"}
)
"""What the lock pins for building and installing wheels."""
NAMED = re.compile(r"^([a-z0-9._-]+)==", re.MULTILINE)
PLAIN = re.compile(r"__pycache__|.*\.pyc")
CONTROL = """\
Package: box-agent
Version: {version}
Architecture: {architecture}
Maintainer: the maintainers of stb-telemetry <maintainers@invalid>
Installed-Size: {kilobytes}
Depends: adduser, python3 (>= {python}), python3 (<< {next}), tzdata{more}
Section: video
Priority: optional
Description: keeps a set-top box's orders safe and tells what is popular
 Orders are kept over power cuts and outages and sent until they are acknowledged.
 If the household allows it, a week of viewing becomes a few anonymous facts.
"""


def main() -> int:
    """Build it; prints where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--vendor", action="store_true", help="add what it imports, by the lock's hashes")
    parser.add_argument("--python", default=sys.executable, help="compiles; of the box's minor version")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "box-agent"
        lay_out(tree)
        if told.vendor:
            add_vendor(tree, told.python)
        compile_all(tree, told.python)
        print(build(tree, told.out, told.python, vendor=told.vendor))
    return 0


def lay_out(tree: Path) -> None:
    """Put every file where it goes."""
    for name in PACKAGES:
        shutil.copytree(
            ROOT / name,
            tree / LIBRARY / name,
            ignore=lambda _folder, names: [one for one in names if PLAIN.fullmatch(one)],
        )
    documents = tree / "usr/share/doc/box-agent"
    places = {
        HERE / "box-agent": tree / "usr/bin/box-agent",
        HERE / "box-agent.service": tree / "lib/systemd/system/box-agent.service",
        HERE / "box-agent.toml.example": tree / "etc/box-agent.toml.example",
        HERE / "README.md": documents / "README.md",
        ROOT / "docs/box.md": documents / "box.md",
        HERE / "debian/copyright": documents / "copyright",
    }
    for script in ("postinst", "prerm", "postrm"):
        places[HERE / "debian" / script] = tree / "DEBIAN" / script
    for source, target in places.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def add_vendor(tree: Path, python: str) -> None:
    """Install what the lock pins, but what only builds."""
    blocks = re.split(r"\n(?=[a-z0-9])", (ROOT / "locks/box.txt").read_text())
    kept = [block for block in blocks if (found := NAMED.match(block)) and found[1] not in NOT_ON_A_BOX]
    wanted = tree.parent / "vendor.txt"
    wanted.write_text("\n".join(kept) + "\n")
    target = tree / LIBRARY / "vendor"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    pip += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, "-r", str(wanted)], check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)


def compile_all(tree: Path, python: str) -> None:
    """Compile every module, under the name that it will have; sets are written in one order."""
    command = [python, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(tree), "-p", "/", str(tree / LIBRARY)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "0"})


def build(tree: Path, out: Path, python: str, *, vendor: bool) -> Path:
    """Close the package; answers with its path."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or of_the_last_commit()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    architecture = asked("dpkg", "--print-architecture") if vendor else "all"
    minor = int(asked(python, "-c", "import sys; print(sys.version_info[1])"))
    files = sorted(path for path in tree.rglob("*") if path.is_file() and "DEBIAN" not in path.parts)
    control = tree / "DEBIAN"
    control.joinpath("md5sums").write_text(
        "".join(f"{md5(path)}  {path.relative_to(tree)}\n" for path in files)
    )
    control.joinpath("control").write_text(
        CONTROL.format(
            version=version,
            architecture=architecture,
            kilobytes=sum(-(-path.stat().st_size // 1024) for path in files),
            # Compiled modules are of one minor version; others would compile at each start.
            python=f"3.{minor}",
            next=f"3.{minor + 1}",
            more=", libc6" if vendor else "",
        )
    )
    for path in [tree, *tree.rglob("*")]:
        runs = path.is_dir() or path.parent.name == "bin" or path.name in {"postinst", "prerm", "postrm"}
        path.chmod(0o755 if runs else 0o644)
        os.utime(path, (int(epoch), int(epoch)))
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"box-agent_{version}_{architecture}.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target)]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"SOURCE_DATE_EPOCH": epoch}
    )
    return target


def of_the_last_commit() -> str:
    """When the source was last changed, in Unix seconds."""
    return asked("git", "-C", str(ROOT), "log", "-1", "--format=%ct")


def asked(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def md5(path: Path) -> str:
    """As `dpkg --verify` compares it; no protection against anybody."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
