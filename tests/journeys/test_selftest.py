"""`box-agent selftest` before a real headend and a real relay, each in its own process."""

import json
import socket
import threading

import pytest

from shared.clock import from_ms
from shared.notice_version import notice_version
from simulator.processes import free_port
from tests.box_agent.running_box import RunningBox, publish
from tests.town import Installed

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    made = Installed(tmp_path_factory.mktemp("installation"))
    made.move_to(from_ms(1791200000000))  # within the first week that the installation has a directory for
    publish(made)
    yield made
    made.stop()


def steps(box, *words):
    status, said = box.command("--json", "selftest", *words)
    found = json.loads(said)
    assert found["ok"] == (status == 0)
    return {f"{one['where']}: {one['name']}": (one["verdict"], one["detail"]) for one in found["steps"]}


def verdicts(found):
    return {name: verdict for name, (verdict, _) in found.items()}


def refused(installed):
    metrics = installed.headend.metrics()
    return sum(value for name, value in metrics.items() if "week-not-over" in name)


def counted(installed):
    return {name: value for name, value in installed.headend.metrics().items() if "fragments" in name}


def test_a_box_fresh_from_its_carton_is_well_and_says_nothing_on_the_anonymous_line(installed, tmp_path):
    before = refused(installed)
    found = steps(RunningBox(tmp_path, installed, relay_url="http://127.0.0.1:9"))
    assert "failed" not in verdicts(found).values(), found
    assert found["named line: catalogue"][0] == found["named line: directory"][0] == "ok"
    assert found["named line: sign of life"] == ("skipped", "this box has not been enrolled")
    skipped = {name: verdict for name, verdict in verdicts(found).items() if "anonymous" in name}
    assert set(skipped.values()) == {"skipped"}
    assert refused(installed) == before
    assert not (tmp_path / "state").exists(), "it makes nothing"


def test_beside_a_running_agent_every_step_is_well_and_nothing_is_counted(installed, tmp_path):
    box = RunningBox(tmp_path, installed)
    with box.running():
        box.ask("enrol", code=installed.code("acc-1"))
        box.ask("set-consent", granted=True, notice=notice_version(), how="test")
        before, status = refused(installed), box.ask("status")
        found = steps(box)
        assert set(verdicts(found).values()) == {"ok"}, found
        assert "one answers" in found["box: agent"][1]
        assert found["anonymous line: sealed request"][1].endswith("week-not-over")
        assert refused(installed) == before + 1
        after = box.ask("status")
        for one in (status, after):
            one["store"].pop("free_bytes")
        assert after == status
    with_itself_alone = steps(box)
    assert set(verdicts(with_itself_alone).values()) == {"ok"}
    assert "none runs" in with_itself_alone["box: agent"][1]
    assert sorted(path.name for path in box.state.iterdir()) == ["box.sqlite", "consent.json", "lock"]


def test_without_consent_the_anonymous_line_is_tried_on_a_bench_only(installed, tmp_path):
    heard = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()

        def hear():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                heard.append(connection.recv(65536))
                connection.close()

        threading.Thread(target=hear, daemon=True).start()
        box = RunningBox(tmp_path, installed, relay_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        steps(box)
        assert heard == []
        found = steps(box, "--anonymous")
        assert heard
        listener.shutdown(socket.SHUT_RDWR)
    assert found["anonymous line: directory"][0] == "failed"
    assert found["anonymous line: sealed request"] == ("skipped", "needs the same directory")
    assert (
        verdicts(steps(RunningBox(tmp_path, installed), "--anonymous"))["anonymous line: sealed request"]
        == "ok"
    )


def test_what_is_wrong_is_told_by_the_step_that_meets_it(installed, tmp_path):
    box = RunningBox(tmp_path, installed)
    other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    box.write(box.given | {"directory_key": other, "catalogue_key": box.given["directory_key"]})
    found = verdicts(steps(box))
    assert (found["named line: catalogue"], found["named line: directory"]) == ("failed", "failed")
    assert found["box: clock"] == "skipped"
    box.write(box.given | {"headend_url": f"http://127.0.0.1:{free_port()}"})
    catalogue = steps(box)["named line: catalogue"]
    assert catalogue == ("failed", "ConnectionError: nobody answers there")
    box.write(box.given | {"zone": "Europe/Nowhere"})
    assert steps(box) == {"box: settings": ("failed", "no time zone 'Europe/Nowhere'")}


def test_people_are_told_in_numbered_lines(installed, tmp_path):
    status, said = RunningBox(tmp_path, installed).command("selftest")
    assert status == 0
    numbers = [int(line.split()[0]) for line in said.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "skipped  anonymous line: sealed request" in said
