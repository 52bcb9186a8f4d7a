"""The house checks itself: floors, and docs in step with what is there."""

import argparse
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import box_agent
import headend
import shared
import simulator
from box_agent import questions as box_commands
from headend.__main__ import main as headend_commands
from headend.analytics.intake import Refusal
from headend.app import open_headend
from headend.disclosure import TABLE
from headend.installation import Installation
from headend.kit.http import RefusedError
from shared.field_register import declared, declared_columns, places
from tests import engines
from tests.builders import SETTINGS

PACKAGES = (box_agent, headend, shared, simulator)
HOUSE = Path(headend.__file__).parents[1]
DOCS = HOUSE / "docs"
PYPROJECT = HOUSE / "pyproject.toml"


def doc(name):
    return (DOCS / name).read_text()


def section(name, title):
    """What stands in a page under one heading, up to the next of that rank."""
    match = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", doc(name), re.MULTILINE | re.DOTALL)
    assert match, f"docs/{name} has no section {title!r}"
    return match[1]


def modules():
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield found.name


def tracked():
    """The files that are, or are about to be, under version control."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listed, cwd=HOUSE, capture_output=True, check=False)
    if done.returncode == 0:
        names = [HOUSE / name for name in done.stdout.decode().split("\0") if name]
        return [path for path in names if path.is_file()]
    return [
        path
        for path in HOUSE.rglob("*")
        if path.is_file() and "/." not in str(path.relative_to(HOUSE.parent))
    ]


# --- the packages


def test_the_four_packages_share_one_parent_directory():
    assert {Path(package.__file__).parents[1] for package in PACKAGES} == {HOUSE}


def test_a_package_file_holds_its_sentence_and_nothing_else():
    for package in PACKAGES:
        for path in Path(package.__file__).parent.rglob("__init__.py"):
            assert re.fullmatch(r'""".+"""\n', path.read_text(), re.DOTALL), path


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_examples_in_docstrings_hold(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


# --- the floors

PLANTS = {
    "rooms": ("shared/money.py", "import headend.disclosure"),
    "floors": ("headend/kit/files.py", "import headend.installation"),
    "billing": ("headend/billing/rating.py", "from shared import anonymous"),
    "analytics": ("headend/analytics/intake.py", "from shared.named import BoxId"),
    "console": ("headend/console/store.py", "import headend.billing.store"),
    "anonymous-path": ("box_agent/rollup.py", "from box_agent.identity import Identity"),
    "named-path": ("box_agent/submission.py", "import box_agent.sessions"),
    "time": ("box_agent/sessions.py", "import time"),
    "http-client": ("headend/billing/exports.py", "import requests"),
    "thinking-rooms": ("headend/billing/ledger.py", "import sqlite3"),
}


@pytest.fixture(scope="module")
def copied_house(tmp_path_factory):
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        folder = Path(package.__file__).parent
        shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(PYPROJECT, copy / PYPROJECT.name)
    return copy


def lint_imports(folder, *contracts):
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    for contract in contracts:
        command += ["--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_import_contracts_hold(copied_house):
    done = lint_imports(copied_house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", PLANTS)
def test_an_import_that_breaks_a_contract_is_found(copied_house, contract):
    name, planted = PLANTS[contract]
    path = copied_house / name
    before = path.read_text()
    path.write_text(f"{before}\n{planted}\n")
    try:
        done = lint_imports(copied_house, contract)
    finally:
        path.write_text(before)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout


def test_every_contract_has_its_name_in_the_docs():
    contracts = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]["contracts"]
    told = section("architecture.md", "Import contracts")
    assert [one["id"] for one in contracts if f"`{one['id']}`" not in told] == []


# --- docs in step


def click_commands(command, path):
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path)
        return
    for name, one in inner.items():
        yield from click_commands(one, (*path, name))


def argparse_commands(parser, path):
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield " ".join(path)
    for group in groups:
        for name, one in group.choices.items():
            yield from argparse_commands(one, (*path, name))


def simulator_commands():
    module = pytest.importorskip("simulator.__main__")
    if isinstance(module.main, click.Command):
        return click_commands(module.main, ("stb-sim",))
    return argparse_commands(module._parser(), ("stb-sim",))


@pytest.mark.parametrize("command", sorted(click_commands(headend_commands, ("headend",))))
def test_every_command_of_the_headend_has_its_line(command):
    assert f"`{command}" in section("operating.md", "Every command")


@pytest.mark.parametrize("command", sorted(argparse_commands(box_commands.parser(), ("box-agent",))))
def test_every_command_of_the_box_has_its_line(command):
    assert f"`{command.removeprefix('box-agent ')}" in doc("box.md")


def test_every_command_of_the_simulator_has_its_line():
    told = section("operating.md", "Every command")
    assert [command for command in simulator_commands() if f"`{command}" not in told] == []


def refusals():
    for name in modules():
        if name.startswith("headend.") and not name.endswith("__main__"):
            importlib.import_module(name)

    def below(kind):
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return {one.name: int(one.status) for one in below(RefusedError) if "name" in vars(one)}


def test_every_refusal_has_its_line_with_its_status():
    told = section("protocol.md", "Problem answers")
    missing = [
        (name, status)
        for name, status in refusals().items()
        if not re.search(rf"^\| `{name}` \| {status} \|", told, re.MULTILINE)
    ]
    assert missing == []


def test_every_reason_under_the_seal_has_its_line():
    told = section("protocol.md", "Problem answers")
    assert [reason for reason in Refusal if f"| `{reason}` |" not in told] == []


def test_no_refusal_is_told_that_is_not_there():
    told = re.findall(r"^\| `([a-z-]+)` \| \d{3} \|", section("protocol.md", "Problem answers"), re.MULTILINE)
    beside = {
        "storage",
        "not-found",
        "method-not-allowed",
        "request-entity-too-large",
        "internal-server-error",
    }
    assert set(told) - set(refusals()) - set(Refusal) - beside == set()


@pytest.mark.parametrize("place", places())
def test_every_table_message_and_field_stands_in_the_data_model(place):
    told = section("data-model.md", place.capitalize())
    for name, fields in declared_columns(place).items():
        line = next((line for line in told.splitlines() if line.startswith(f"| `{name}` |")), None)
        assert line is not None, f"{place}.{name}"
        assert [one for one in fields if f"`{one}`" not in line] == [], f"{place}.{name}"


@pytest.mark.parametrize("place", places())
def test_the_data_model_tells_of_nothing_that_is_not_declared(place):
    told = re.findall(r"^\| `(\w+)` \|", section("data-model.md", place.capitalize()), re.MULTILINE)
    assert sorted(told) == sorted(declared(place))


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    made = Installation.create(tmp_path_factory.mktemp("house") / "headend", SETTINGS)
    open_headend(made).close()
    return made


@pytest.mark.parametrize("side", ["billing", "analytics", "console"])
def test_the_register_declares_exactly_the_columns_that_there_are(installation, side):
    with engines.raw(installation.place(side)) as connection:
        columns = engines.columns(connection)
    assert {name: set(fields) for name, fields in declared_columns(side).items()} == columns


def test_every_page_of_the_console_has_its_line(installation):
    opened = open_headend(installation)
    paths = [page.path for side in opened.sides() for page in side.pages]
    opened.close()
    told = section("console.md", "Pages")
    assert [path for path in paths if f"`{path.split('/')[0]}`" not in told] == []


def test_the_disclosure_page_is_the_table():
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]+?) \|", doc("disclosure.md"), re.MULTILINE)
    told = [row for row in rows if row[0] != "kind" and not row[0].startswith("-")]
    assert sorted(told) == sorted((kind.value, to.value, purpose.value) for kind, to, purpose in TABLE)


def test_every_marker_is_explained():
    markers = tomllib.loads(PYPROJECT.read_text())["tool"]["pytest"]["markers"]
    told = section("architecture.md", "Tests")
    assert [one for one in markers if f"`{one.split(':')[0]}`" not in told] == []


def test_every_promise_has_its_test_and_every_test_its_promise():
    told = set(re.findall(r"`(test_\w+\.py)`", section("privacy.md", "Promises")))
    assert told == {path.name for path in (HOUSE / "tests" / "promises").glob("test_*.py")}


def test_every_promise_is_marked_as_one():
    for path in (HOUSE / "tests" / "promises").glob("test_*.py"):
        assert "pytest.mark.promise" in path.read_text(), path.name


def test_every_decision_says_why_what_and_with_what_effect():
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    for path in decisions:
        for heading in ("Status:", "## Context", "## Decision", "## Consequences"):
            assert heading in path.read_text(), f"{path.name}: {heading}"


def test_the_changelog_tells_what_it_means_for_privacy():
    newest = re.split(r"^## ", (HOUSE / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1]
    assert "### Privacy" in newest


def test_every_page_that_is_referred_to_is_there():
    pattern = re.compile(r"docs/([\w/-]+\.md)|\]\(([\w./-]+\.md)(?:#[\w-]+)?\)")
    missing = []
    for path in tracked():
        if path.suffix not in {".md", ".py", ".toml"} or path.name == "test_house.py":
            continue
        for from_root, beside in pattern.findall(path.read_text()):
            target = DOCS / from_root if from_root else path.parent / beside
            if not target.exists():
                missing.append((str(path.relative_to(HOUSE)), from_root or beside))
    assert missing == []


def test_every_file_of_code_that_a_page_names_is_there():
    pattern = re.compile(
        r"`((?:benchmarks|box_agent|deploy|headend|shared|simulator|tests)/[\w./-]+\.\w+)[`:]"
    )
    assert [
        (path.name, named)
        for path in tracked()
        if path.suffix == ".md"
        for named in pattern.findall(path.read_text())
        if not (HOUSE / named).exists()
    ] == []


# --- what a stranger's clone must not hold


def test_locks_name_no_index_and_hash_everything():
    for path in (HOUSE / "locks").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text, path.name
        assert "--index" not in text, path.name
        pins = re.findall(r"^[a-z0-9].*?==", text, re.MULTILINE)
        assert pins
        assert text.count("--hash=sha256:") >= len(pins)


def test_no_tracked_file_knows_a_machine_or_a_package_index():
    # Written so that this file does not hold what it looks for.
    strange = re.compile(r"(?<![\w.])/(work|root|home|Users)/|\bpypi[.]org|\bpython[h]osted")
    known = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        known += [f"{path.relative_to(HOUSE)}: {match[0]}" for match in strange.finditer(text)]
    assert known == []


def test_this_house_has_a_door_for_machines_that_check_it():
    run = HOUSE / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert "exec make test" in run.read_text()
    assert inspect.cleandoc(run.read_text()).startswith("#!")
