from pathlib import Path

import msgspec
import pytest

from box_agent.settings import BadSettingsError, BoxSettings, check, read_settings
from tests.box_agent.fakes import settings


def changed(**changes: object) -> BoxSettings:
    return msgspec.convert(msgspec.to_builtins(settings(Path("state"))) | changes, BoxSettings)


@pytest.mark.parametrize(
    "url",
    [
        "https://headend.example",
        "https://headend.example:8443/x",
        "http://127.0.0.1:80",
        "http://[::1]:1",
        "http://localhost",
    ],
)
def test_addresses_are_https_or_on_this_machine(url: str) -> None:
    assert check(changed(headend_url=url, relay_url=url)).headend_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://headend.example",
        "http://127.0.0.1.example",
        "ftp://localhost",
        "headend",
        "https://",
        "https://u:p@h",
        "http://[",
        "https://h?x=1",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    for field in ("headend_url", "relay_url"):
        with pytest.raises(BadSettingsError):
            check(changed(**{field: url}))


def test_a_steered_clock_is_for_simulated_boxes_only() -> None:
    with pytest.raises(BadSettingsError):
        check(changed(steered_clock="/tmp/clock"))  # noqa: S108 (no file is touched)
    assert check(changed(steered_clock="clock", simulated=True)).steered_clock == "clock"


@pytest.mark.parametrize("text", ["", "127.0.0.1", ":9090", "host:", "host:0", "host:70000", "host:x", "h:²"])
def test_kodis_address_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(BadSettingsError, match="host:port"):
        check(changed(kodi=text))
    assert check(changed(kodi="127.0.0.1:9090")).kodi_address() == ("127.0.0.1", 9090)
    assert check(changed(kodi="[::1]:9090")).kodi_address() == ("::1", 9090)


def test_an_unknown_zone_is_refused() -> None:
    for zone in ("Europe/Nowhere", "../etc"):
        with pytest.raises(BadSettingsError):
            check(changed(zone=zone))


def test_a_settings_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    given = {
        name: value for name, value in msgspec.to_builtins(settings(tmp_path)).items() if value is not None
    }
    lines = [
        f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for name, value in given.items()
    ]
    path.write_text("\n".join(lines))
    assert read_settings(path) == settings(tmp_path)
    for wrong in ("unknown = 1", "x ="):
        path.write_text("\n".join([*lines, wrong]))
        with pytest.raises(BadSettingsError):
            read_settings(path)
    path.write_text("\n".join(lines[1:]))
    with pytest.raises(BadSettingsError):
        read_settings(path)
    with pytest.raises(BadSettingsError):
        read_settings(tmp_path / "none.toml")
