import json
import logging
import logging.config
import sys

import pytest

from headend.kit.logs import FORMATS, REQUEST, JsonFormatter, TextFormatter, log_config


def record(message="it happened", *args, name="headend.kit.jobs", exc_info=None, **extra):
    made = logging.LogRecord(name, logging.ERROR, "", 1, message, args, exc_info)
    made.created = 1_800_000_000.25
    for key, value in extra.items():
        setattr(made, key, value)
    return made


def as_json(*args, **options):
    line = JsonFormatter().format(record(*args, **options))
    assert "\n" not in line
    return json.loads(line)


def test_a_line_tells_when_how_bad_where_and_what():
    assert as_json("job %s failed", "gaps") == {
        "time": "2027-01-15T08:00:00.250+00:00",
        "level": "error",
        "logger": "headend.kit.jobs",
        "message": "job gaps failed",
    }


def test_a_line_of_a_sides_room_tells_the_side_and_a_jobs_line_tells_job_and_slot():
    assert as_json(name="headend.billing.orders")["side"] == "billing"
    found = as_json(job="release", slot="2026-W41")
    assert (found["job"], found["slot"], "side" in found) == ("release", "2026-W41", False)


def test_what_is_no_particular_of_a_line_stays_out_of_it():
    assert "box" not in as_json(box="box-1", taskName="x")


def test_an_exception_is_one_field_of_one_line():
    try:
        int("first\nsecond")
    except ValueError:
        found = as_json("it\nfailed", exc_info=sys.exc_info())
    assert found["message"] == "it\nfailed"
    assert found["exception"].startswith("Traceback")
    assert "\n" in found["exception"]


def test_a_requests_id_is_told_while_it_is_answered():
    token = REQUEST.set("abc123")
    try:
        assert as_json()["request"] == "abc123"
    finally:
        REQUEST.reset(token)
    assert "request" not in as_json()


def test_text_tells_the_same():
    text = TextFormatter().format(record(job="gaps", slot="2026-W41"))
    assert text == "[ERROR] headend.kit.jobs: it happened job=gaps slot=2026-W41"


@pytest.mark.parametrize("form", FORMATS)
def test_both_configurations_are_taken_and_no_access_log_of_granians_own_is_written(form):
    config = log_config(form)
    configurator = logging.config.DictConfigurator(config)
    formatter = configurator.configure_formatter(config["formatters"]["line"])
    assert isinstance(formatter, {"json": JsonFormatter, "text": TextFormatter}[form])
    assert config["loggers"]["granian.access"]["level"] == "CRITICAL"
    assert {one["handlers"][0] for one in config["loggers"].values()} == {"stderr"}
