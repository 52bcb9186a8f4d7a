"""The shipped relay, as a real nginx: what it promises holds, and is seen to fail when a line is altered."""

import inspect
import re
import resource

import pytest

from tests.deploy import relay_checks
from tests.deploy.nginx import DEPLOY, lines_without_mutant, statements
from tests.deploy.relay_mutants import MUTANTS
from tests.deploy.upstream import answer

CHECKS = {
    name: check
    for name, check in vars(relay_checks).items()
    if inspect.isfunction(check) and list(inspect.signature(check).parameters) == ["stage"]
}

SHIPPED = {name: (DEPLOY / "relay" / name).read_text() for name in ("nginx.conf", "values.conf")}
PLAIN = {
    "a frame": (
        "events {",
        "http {",
        "server {",
        "upstream gateway {",
        "location / {",
        "location @too-large {",
        "location @busy {",
        "location @gateway-down {",
        'map "" $gateway_name {',
    ),
    "where things are": (
        "pid nginx.pid;",
        "client_body_temp_path body;",
        "proxy_temp_path proxy;",
        "fastcgi_temp_path fastcgi;",
        "uwsgi_temp_path uwsgi;",
        "scgi_temp_path scgi;",
        "include values.conf;",
        "listen [::]:443 ssl;",
        "server gateway.example:8443;",
        "ssl_certificate relay.pem;",
        "ssl_certificate_key relay.key;",
        "proxy_ssl_certificate_key line.key;",
    ),
    "how many and how long; no test waits for it": (
        "worker_processes 1;",
        "worker_rlimit_nofile 8192;",
        "worker_connections 4096;",
        "client_header_timeout 10s;",
        "client_body_timeout 10s;",
        "send_timeout 10s;",
        "proxy_connect_timeout 5s;",
        "proxy_send_timeout 10s;",
        "proxy_read_timeout 20s;",
        "keepalive_timeout 30s;",
        "proxy_cache_path cache keys_zone=directories:1m inactive=9d max_size=64m use_temp_path=off;",
    ),
    "without tickets nobody can send early": ("ssl_early_data off;",),
}
"""Lines that carry no promise by themselves, by the reason."""


def told(mutant):
    """What a mutant is called."""
    return f"{MUTANTS.index(mutant)}-{mutant[2].split(';')[0].strip() or 'without ' + mutant[1]}"


@pytest.mark.parametrize("promise", CHECKS)
def test_the_shipped_relay_keeps_what_it_promises(make_relay, promise):
    CHECKS[promise](make_relay())


@pytest.mark.parametrize("mutant", MUTANTS, ids=told)
def test_a_line_that_is_altered_breaks_a_promise(make_relay, mutant):
    *altered, check = mutant
    if "rlimit_core" in altered[1] and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("nothing here may leave a core file")
    relay = make_relay(altered)
    with pytest.raises((AssertionError, ValueError)):
        check(relay)


def test_each_field_that_is_hidden_would_come_back_otherwise(make_relay):
    listed = re.search(r"(?s) *proxy_hide_header.*proxy_hide_header \S+;\n", SHIPPED["nginx.conf"])[0]
    relay = make_relay(("nginx.conf", listed, ""))
    relay.gateway.reply = lambda *_: answer(more=relay_checks.EVERY_FIELD)
    shown, _ = relay_checks.passes(relay, relay_checks.sealed_request())
    assert [name for name in relay_checks.HIDDEN if shown.get(name.lower()) != "seven"] == []


def test_every_line_that_carries_a_promise_has_its_mutant():
    hidden = {"the test above looks at each": [f"proxy_hide_header {one};" for one in relay_checks.HIDDEN]}
    assert lines_without_mutant(SHIPPED, MUTANTS, PLAIN | hidden) == []


def test_nothing_of_a_client_is_named_but_to_count_its_connections():
    text = "".join(statements(SHIPPED["nginx.conf"]))
    variables = set(re.findall(r"\$\w+", text))
    assert variables == {
        "$binary_remote_addr",
        "$gateway_name",
        "$request_uri",
        "$uri",
        "$request_method",
        "$content_type",
        "$content_length",
        "$week",
    }
    assert text.count("$binary_remote_addr") == 1
