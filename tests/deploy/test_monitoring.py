"""Alerts and dashboard ask for what a headend really serves, and each alert has its place in the docs."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from headend.app import create_app, open_headend
from headend.installation import Installation
from headend.kit.metering import FAMILIES, OF_DATABASES
from tests.builders import SETTINGS
from tests.deploy.nginx import DEPLOY

FOLDER = DEPLOY / "monitoring"
OPERATING = (DEPLOY.parent / "docs" / "operating.md").read_text()
MONITORING = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
RULES = yaml.safe_load((FOLDER / "stb-rules.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
RECORDED = {rule["record"]: rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
QUESTIONS = [
    *[rule["expr"] for rule in (*ALERTS.values(), *RECORDED.values())],
    *[target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())],
]
NAME = re.compile(r"\b(?:headend[_:]|process_|python_)[a-zA-Z0-9_:]+")
SELECTOR = re.compile(r"((?:headend[_:]|process_|python_)[a-zA-Z0-9_:]+)\{([^}]*)\}")
OF_PROMETHEUS = {"up"}
TARGET_LABELS = {"instance", "job"}
SEEN_LATER = {"headend_accepted_total": {"measure", "week"}}
"""What is served once something has been counted; its labels stand in headend/analytics/metrics.py."""

OF_SERVERS = {"headend_database_connections", "headend_database_connections_limit"}
"""What is served of databases on PostgreSQL only; each has the label `side`."""
WEEKS_ARE_NO_TIME = b'headend_weeks use base unit "seconds" instead of "weeks"'
"""What promtool says of a family that counts weeks and measures none."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Every sample that a real headend serves, with the names of its labels."""
    headend = open_headend(Installation.create(tmp_path_factory.mktemp("monitored") / "headend", SETTINGS))
    headend.billing.store.write(lambda tx: tx.add_tally({"odd": 1}))
    headend.billing.store.write(lambda tx: tx.claim("gaps", "2026-10-07", 1))
    client = create_app(headend).test_client()
    client.get("/healthz")
    text = client.get("/metrics").text
    headend.close()
    found = SEEN_LATER | {name: {"side"} for name in OF_SERVERS}
    for family in text_string_to_metric_families(text):
        # A family without samples is one that has nothing to tell yet: it is there all the same.
        kinds = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("",)
        names = [family.name + kind for kind in kinds]
        for name in names + ([family.name + "_total"] if family.type == "counter" else []):
            found.setdefault(name, set())
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found | {name: set() for name in FAMILIES.keys() - found.keys()}


def promtool(*words):
    if shutil.which("promtool") is None and not os.environ.get("CI"):
        pytest.skip("no promtool here")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_asked_for_is_served_or_recorded(served):
    asked = {name for question in QUESTIONS for name in NAME.findall(question)}
    assert len(asked) > 30
    assert asked - served.keys() - RECORDED.keys() == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric(served):
    for question in QUESTIONS:
        for name, matchers in SELECTOR.findall(question):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers)))
            if served.get(name):
                assert labels - TARGET_LABELS <= served[name], question


def test_the_tests_of_rules_invent_no_series_that_is_not_served(served):
    wrong = []
    for path in sorted((Path(__file__).parent / "rules").glob("*.yml")):
        for case in yaml.safe_load(path.read_text())["tests"]:
            for one in case["input_series"]:
                name, labels = re.fullmatch(r"(\w+)\{(.*)\}", one["series"]).groups()
                keys = set(re.findall(r"(\w+)=", labels)) - TARGET_LABELS
                if name not in OF_PROMETHEUS and served[name] != keys:
                    wrong.append(one["series"])
    assert wrong == []


def around(question, at):
    """The functions and aggregations around a place of a question, each with its labels, the inner first."""
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(question[place], 0)
        if depth < 0:
            depth = 0
            function, by = re.search(r"(\w*)(?: by \(([^)]*)\))? ?$", question[:place]).groups()
            yield function, set(re.findall(r"\w+", by or ""))


def summed_over_nodes(question):
    """Families of the databases that a question adds up over nodes, which all tell the same."""
    for found in SELECTOR.finditer(question):
        of_process = 'side="console"' in found[2]
        for function, by in around(question, found.start()):
            if function in {"max", "min"} or "instance" in by or of_process:
                break
            if function in {"sum", "avg", "count"} and found[1] in OF_DATABASES:
                yield found[1]


def test_no_question_adds_up_what_every_node_tells_alike():
    assert list(summed_over_nodes('sum(headend_orders{state="billed"})')) == ["headend_orders"]
    assert list(summed_over_nodes('sum by (state) (max by (state) (headend_orders{state="billed"}))')) == []
    for question in QUESTIONS:
        plain = re.sub(r"\b(headend_\w+)(?![\w{])", r"\1{}", question)
        assert list(summed_over_nodes(plain)) == [], question


def test_the_dashboard_shows_what_every_node_tells_alike_once():
    for panel in DASHBOARD["panels"]:
        for question in (target["expr"] for target in panel.get("targets", ())):
            for found in SELECTOR.finditer(question):
                if found[1] in OF_DATABASES and 'side="console"' not in found[2]:
                    functions = {function for function, _ in around(question, found.start())}
                    assert functions & {"max", "min"}, (panel["title"], question)


def test_every_metric_that_is_declared_is_on_the_dashboard_in_an_alert_or_plainly_told():
    shown = {name for question in QUESTIONS for name in NAME.findall(question)}
    told = set(re.findall(r"`(headend_\w+)", MONITORING))
    assert FAMILIES.keys() <= told
    assert FAMILIES.keys() - shown == set()


def test_every_alert_says_what_is_so_what_to_do_and_where_more_stands():
    for name, alert in ALERTS.items():
        assert set(alert["annotations"]) == {"summary", "action", "runbook_url"}
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["runbook_url"] == f"docs/operating.md#{name.lower()}"
        assert f"\n### {name}\n" in OPERATING


def test_every_runbook_is_one_of_an_alert():
    section = OPERATING.split("\n## Alerts\n")[1].split("\n## ")[0]
    assert re.findall(r"(?m)^### (\w+)$", section) == list(ALERTS)
    for name, alert in ALERTS.items():
        part = section.split(f"### {name}\n\n")[1].split("\n### ")[0]
        assert part.startswith("*page.*") == (alert["labels"]["severity"] == "page")


def test_every_length_of_an_alert_is_argued():
    text = (FOLDER / "stb-rules.yml").read_text()
    assert len(re.findall(r"(?m)^        for: \d+[mhd]  # \S.{10,}$", text)) == len(ALERTS)


def test_the_dashboard_can_be_imported_as_it_stands():
    assert DASHBOARD["uid"]
    assert "id" not in DASHBOARD
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    places = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not cells & places
        places |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps([DASHBOARD["panels"], DASHBOARD["templating"]])))
    assert used <= variables | {"__rate_interval", "__all"}


def test_promtool_reads_the_rules_and_the_configuration(tmp_path):
    promtool("check", "rules", str(FOLDER / "stb-rules.yml"))
    text = (FOLDER / "prometheus.yml").read_text()
    assert "/etc/prometheus/stb-rules.yml" in text
    for said in (text, re.sub(r"(?m)^( *)#: ", r"\1", text)):  # as it stands, and for what is served apart
        (tmp_path / "prometheus.yml").write_text(said.replace("/etc/prometheus/", f"{FOLDER}/"))
        promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_alerts_stand_when_they_should_and_not_otherwise():
    promtool("test", "rules", *map(str, sorted((Path(__file__).parent / "rules").glob("*.yml"))))


def test_promtool_finds_the_names_and_kinds_of_a_scrape_in_order(tmp_path):
    if shutil.which("promtool") is None and not os.environ.get("CI"):
        pytest.skip("no promtool here")
    headend = open_headend(Installation.create(tmp_path / "headend", SETTINGS))
    text = create_app(headend).test_client().get("/metrics").data
    headend.close()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.stdout.splitlines() + done.stderr.splitlines() == [WEEKS_ARE_NO_TIME]
