"""What docs/box.md shows somebody to type works as it stands there."""

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from box_agent.app import Agent
from box_agent.client import AgentClient
from box_agent.core import Core
from box_agent.front import Front
from box_agent.listener import Listener
from box_agent.local_socket import perform
from box_agent.service import Service

PAGE = (Path(__file__).parents[2] / "docs" / "box.md").read_text()
PATH = "/run/box-agent/agent.sock"


@pytest.fixture
def listening(bench, tmp_path):
    bench.agent.close()
    core = Core(bench.settings.state_dir, bench.settings.consent_witness(), bench.clock)
    front = Front(core)
    service = Service(
        lambda lines: Agent(bench.settings, lines, bench.clock, core=core),
        (bench.headend, bench.relay),
        front,
        steered=True,
    )
    front.open(lambda line: perform(service, line))
    path = tmp_path / "agent.sock"
    listener = Listener(str(path), front.answer)
    with AgentClient(path) as client:
        client.ask("enrol", code="code-1234")
        client.ask("tick")
    yield path
    listener.close()
    service.close()


def block(first):
    """The indented block of the page that begins with a line."""
    found = re.search(rf"^    {re.escape(first)}.*?(?=^\S)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    assert PATH in found[0]
    return textwrap.dedent(found[0])


def test_the_shell_example_speaks_to_the_agent(listening):
    script = block("agent() {").replace(PATH, str(listening))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    kept, consent = (json.loads(line) for line in done.stdout.splitlines())
    assert kept == {"ok": True, "result": {"kept": False}}
    assert consent["result"]["granted"] is False


def test_the_python_example_speaks_to_the_agent(listening, capsys):
    exec(block("from box_agent.client").replace(PATH, str(listening)), {})  # noqa: S102 (the page's own lines)
    assert capsys.readouterr().out == "unknown-order\n"
