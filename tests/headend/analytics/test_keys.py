import stat
from pathlib import Path

import pytest

from headend.analytics.keys import AnalyticsKeys
from headend.kit.shelf import FolderShelf, KeyFileError
from shared.ohttp import KeyConfig
from shared.weeks import Week
from tests.headend.analytics.builders import WEEK


@pytest.fixture
def keys(tmp_path: Path) -> AnalyticsKeys:
    return AnalyticsKeys(FolderShelf(tmp_path / "keys"))


def test_a_weeks_key_is_made_once_with_the_weeks_number(keys: AnalyticsKeys, tmp_path: Path) -> None:
    config = keys.key_config(WEEK)
    assert KeyConfig.decode(config).key_id == 41
    assert AnalyticsKeys(FolderShelf(tmp_path / "keys")).key_config(WEEK) == config
    assert keys.key_config(WEEK.plus(1)) != config


def test_key_files_are_for_their_owner_only(keys: AnalyticsKeys, tmp_path: Path) -> None:
    keys.key_config(WEEK)
    keys.manifest_key()
    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == ["manifest.key", "ohttp-2026-W41.key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_key_that_others_may_read_is_refused(keys: AnalyticsKeys, tmp_path: Path) -> None:
    keys.key_config(WEEK)
    (tmp_path / "keys" / "ohttp-2026-W41.key").chmod(0o644)
    with pytest.raises(KeyFileError):
        keys.gateway(WEEK)


def test_a_file_that_is_no_key_is_refused(keys: AnalyticsKeys, tmp_path: Path) -> None:
    keys.manifest_key()
    (tmp_path / "keys" / "manifest.key").write_text("nothing")
    with pytest.raises(KeyFileError):
        keys.manifest_key()


def test_a_key_of_another_kind_is_refused(keys: AnalyticsKeys, tmp_path: Path) -> None:
    keys.manifest_key()
    (tmp_path / "keys" / "manifest.key").rename(tmp_path / "keys" / "ohttp-2026-W41.key")
    with pytest.raises(KeyFileError):
        keys.gateway(WEEK)


def test_a_forgotten_key_opens_nothing(keys: AnalyticsKeys) -> None:
    keys.key_config(WEEK)
    keys.forget(WEEK)
    with pytest.raises(KeyFileError):
        keys.gateway(WEEK)
    keys.forget(Week(2026, 1))


def test_the_manifest_key_stays_the_same(keys: AnalyticsKeys, tmp_path: Path) -> None:
    first = keys.manifest_key().private_bytes_raw()
    assert AnalyticsKeys(FolderShelf(tmp_path / "keys")).manifest_key().private_bytes_raw() == first
