"""What the pages tell somebody to do works, and the units start what the other tests start."""

import configparser
import os
import re
import shutil
import subprocess

import pytest

from tests.deploy import relay_checks
from tests.deploy.nginx import DEPLOY, statements
from tests.deploy.stages import Certificates, RelayStage

PAGE = (DEPLOY.parent / "docs" / "relay.md").read_text()
UNITS = ["relay", "gateway"]


class AsThePageSays(Certificates):
    """The line's certificates made with the commands of the page, in their order."""

    def __init__(self, folder):
        super().__init__(folder)
        commands = re.findall(r"(?m)^    (openssl req .*|openssl x509 -req .*|printf .*)$", PAGE)
        assert len(commands) == 7
        for one in commands:
            subprocess.run(one, shell=True, check=True, cwd=folder, capture_output=True)  # noqa: S602 (the page's own lines)
        self.line_file = folder / "line-ca.pem"
        self.gateway = folder / "gateway.pem", folder / "gateway.key"


@pytest.fixture
def certificates_of_the_page(tmp_path):
    if shutil.which("openssl") is None and not os.environ.get("CI"):
        pytest.skip("no openssl here")
    (tmp_path / "made").mkdir()
    return AsThePageSays(tmp_path / "made")


def test_the_line_stands_with_the_certificates_that_the_page_makes(
    tmp_path, certificates_of_the_page, recorder
):
    relay = RelayStage(tmp_path / "relay", certificates_of_the_page, recorder)
    try:
        relay_checks.of_a_sealed_request_nothing_goes_on_but_type_length_and_body(relay)
        relay.gateway.forget()
        relay_checks.only_the_pinned_gateway_gets_anything(relay)
    finally:
        relay.stop()


@pytest.mark.parametrize("page", ["relay.md", "operating.md"])
def test_every_file_that_is_to_be_installed_is_shipped_or_a_certificate(page):
    text = (DEPLOY.parent / "docs" / page).read_text()
    kind = "relay" if page == "relay.md" else "gateway"
    if kind == "gateway":  # the page is about more than the front
        text = text.split("\n### The front\n")[1].split("\n### ")[0]
    named = re.findall(rf"(?m)^    install .*? ([\w. -]+) (?:/etc/stb-{kind}/|/etc/systemd/system/)$", text)
    files = [name for line in named for name in re.findall(r"[\w-]+\.\w+", line)]
    shipped = {path.name for path in (DEPLOY / kind).iterdir()} - {"README.md"}
    assert shipped <= set(files)
    mentioned = "".join(path.read_text() for path in (DEPLOY / kind).glob("*.conf"))
    assert [one for one in files if one not in shipped and one not in mentioned] == []


def unit(kind):
    found = configparser.RawConfigParser(strict=False)
    found.optionxform = str
    found.read_string((DEPLOY / kind / f"stb-{kind}.service").read_text())
    return found["Service"]


@pytest.mark.parametrize("kind", UNITS)
def test_the_unit_starts_nginx_as_the_tests_do_and_without_rights(kind):
    service = unit(kind)
    assert service["ExecStart"] == (
        f'/usr/sbin/nginx -e stderr -p /run/stb-{kind}/ -c /etc/stb-{kind}/nginx.conf -g "daemon off;"'
    )
    assert service["User"] == service["RuntimeDirectory"] == f"stb-{kind}"
    assert service["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert service["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize("kind", UNITS)
def test_nothing_can_be_written_but_to_memory_which_is_not_dumped_or_swapped(kind):
    service = unit(kind)
    assert service["ProtectSystem"] == "strict"
    assert service["LimitCORE"] == service["MemorySwapMax"] == "0"
    assert service["StandardOutput"] == "null"
    writable = ("ReadWritePaths", "StateDirectory", "CacheDirectory", "LogsDirectory", "BindPaths")
    assert [one for one in writable if one in service] == []


@pytest.mark.parametrize("kind", UNITS)
def test_no_path_of_the_configuration_leads_out_of_memory(kind):
    found = set()
    for name in ("nginx.conf", "values.conf"):
        for one in statements((DEPLOY / kind / name).read_text()):
            if match := re.match(r"(pid|error_log|access_log|\w+_temp_path|proxy_cache_path) ([^ ;]+)", one):
                found.add(match[2])
    assert {one for one in found if one.startswith("/")} == {"/dev/null"}
    assert len(found) >= 8, "relative, that is beneath the prefix in memory"
