import os
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.installation import SETTINGS, Installation, InstallationError, Settings
from headend.kit import process
from tests import engines


def settings(**changes):
    given = {
        "issuer": "issuer",
        "zone": "Europe/Brussels",
        "profile": "small",
        "country": "BE",
        "first_week": "2026-W41",
        "simulated": False,
        "clock": "",
        "regions": ("north", "south"),
        "areas": {"1": "north", "20": "south"},
    }
    return Settings(**(given | changes))


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_an_installation_reads_back_what_was_decided(tmp_path):
    made = Installation.create(tmp_path / "a", settings(issuer='quoted "name"'))
    assert Installation(tmp_path / "a").settings == made.settings
    assert Installation(tmp_path / "a").settings.areas == {"1": "north", "20": "south"}


def test_keys_are_for_their_owner_only(tmp_path):
    Installation.create(tmp_path / "a", settings())
    for path in (tmp_path / "a" / "keys").rglob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.sqlite(why="test_backup.py backs databases on PostgreSQL up")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_an_installation_and_its_backup_are_for_their_owner_only(tmp_path, umask):
    (tmp_path / "pass").write_text("correct horse battery")
    before = os.umask(umask)
    try:
        run("init", tmp_path / "a")
        run("backup", tmp_path / "a", tmp_path / "copy", "--passphrase-file", tmp_path / "pass")
    finally:
        os.umask(before)
    for folder in (tmp_path / "a", tmp_path / "copy"):
        assert folder.stat().st_mode & 0o777 == 0o700
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob("*.db*")}
        assert set(modes.values()) == {0o600}


@pytest.mark.parametrize(
    "changes",
    [
        {"zone": "Mars/Base"},
        {"profile": "huge"},
        {"first_week": "2026-41"},
        {"clock": "/somewhere"},
        {"simulated": True},
        {"areas": {"1": "unlisted"}},
        {"issuer": ""},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_could_not_work_stops_the_start(tmp_path, changes):
    from shared.errors import StbError

    with pytest.raises(StbError):
        Installation.create(tmp_path / "a", settings(**changes))
    assert not (tmp_path / "a" / SETTINGS).exists()


def test_an_installation_is_not_made_over_another(tmp_path):
    Installation.create(tmp_path / "a", settings())
    with pytest.raises(InstallationError):
        Installation.create(tmp_path / "a", settings())


@pytest.mark.sqlite(why="an installation that names no database yet")
def test_databases_are_written_into_the_settings_beside_what_stands_there(tmp_path):
    made = Installation.create(tmp_path / "a", settings())
    path = tmp_path / "a" / SETTINGS
    path.write_text("# by hand\n" + path.read_text())
    made.place_at({"console": "postgresql://one/console"})
    again = Installation(tmp_path / "a").place_at(
        {"billing": "postgresql://one/billing", "console": "postgresql://two/console"}
    )
    assert again.settings == settings(
        databases={"billing": "postgresql://one/billing", "console": "postgresql://two/console"}
    )
    assert path.read_text().startswith("# by hand\n")


def test_settings_that_cannot_be_added_to_stay_as_they_are(tmp_path):
    made = Installation.create(tmp_path / "a", settings(databases={"billing": "postgresql://one/billing"}))
    path = tmp_path / "a" / SETTINGS
    odd = path.read_text().replace("[databases]", "[databases] # ours")
    path.write_text(odd)
    with pytest.raises(InstallationError, match="by hand"):
        made.place_at({"console": "postgresql://one/console"})
    assert path.read_text() == odd


@pytest.mark.sqlite(why="several processes may serve what is on a server")
def test_one_process_holds_the_installation(tmp_path):
    made = Installation.create(tmp_path / "a", settings())
    held = made.lock()
    with pytest.raises(InstallationError):
        Installation(tmp_path / "a").lock()
    os.close(held)
    os.close(made.lock())


@pytest.mark.sqlite(why="without --database a backup is restored into files")
def test_a_backup_with_its_keys_is_the_same_installation_elsewhere(tmp_path):
    folder, passphrase = tmp_path / "a", tmp_path / "pass"
    passphrase.write_text("correct horse\n")
    run("init", folder)
    run("account", "add", folder, "acc-1")
    run("backup", folder, tmp_path / "copy", "--passphrase-file", passphrase)
    for path in (tmp_path / "copy", tmp_path / "copy" / "billing.db"):  # as a copy of a copy may be
        path.chmod(0o755)
    run("restore", tmp_path / "copy", tmp_path / "b", "--passphrase-file", passphrase)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "b" / "billing.db").stat().st_mode & 0o777 == 0o600
    assert "acc-1" in run("account", "list", tmp_path / "b")
    assert run("export", "key", tmp_path / "b") == run("export", "key", folder)
    run("reconcile", tmp_path / "b")


@pytest.mark.sqlite(why="without --database a backup is restored into files")
def test_a_backup_holds_no_key_that_is_not_encrypted(tmp_path):
    folder, passphrase = tmp_path / "a", tmp_path / "pass"
    passphrase.write_text("correct horse")
    run("init", folder)
    run("backup", folder, tmp_path / "copy", "--passphrase-file", passphrase)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in stored
    passphrase.write_text("another")
    words = ("restore", tmp_path / "copy", tmp_path / "b", "--passphrase-file", passphrase)
    assert "another passphrase" in run(*words, code=1)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("passphrase", ["", "\n", "eleven byte", "           .\n"])
def test_a_passphrase_that_is_none_is_refused(tmp_path, passphrase):
    (tmp_path / "pass").write_text(passphrase)
    run("init", tmp_path / "a")
    words = ("backup", tmp_path / "a", tmp_path / "copy", "--passphrase-file", tmp_path / "pass")
    assert "the passphrase has" in run(*words, code=1)
    assert not (tmp_path / "copy").exists()


@pytest.mark.sqlite(why="without --database a backup is restored into files")
def test_a_restore_that_fails_at_its_end_leaves_no_folder(tmp_path):
    (tmp_path / "pass").write_text("correct horse battery")
    words = ("--passphrase-file", tmp_path / "pass")
    run("init", tmp_path / "a")
    (tmp_path / "a" / "keys" / "billing" / "catalogue.pem").unlink()
    run("backup", tmp_path / "a", tmp_path / "copy", *words)
    assert "no usable key" in run("restore", tmp_path / "copy", tmp_path / "b", *words, code=1)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "copy", "pass"}


def test_an_error_is_one_line_and_exit_code_1(tmp_path):
    assert run("reconcile", tmp_path / "nothing", code=1).startswith("Error: ")


def test_what_is_no_text_on_a_command_line_is_told_in_one_line_and_changes_nothing(tmp_path):
    run("init", tmp_path / "a")
    run("account", "add", tmp_path / "a", "acc-1")
    said = run("account", "erase", tmp_path / "a", "acc-1", "--who", "al\udcffice", code=1)
    assert said.startswith("Error: ")
    assert "erase" not in run("audit", "verify", tmp_path / "a", "--json")


@pytest.mark.parametrize(
    "written",
    [
        b"regions = [",
        b'areas = {"1" = "north"}',
        b"regions = 7\n[areas]",
        b"\xff",
        b'regions = ["a"]\nareas = "b"',
    ],
)
def test_regions_that_cannot_be_read_are_one_line_with_the_files_name(tmp_path, written):
    (tmp_path / "regions.toml").write_bytes(written)
    said = run("init", tmp_path / "a", "--regions", tmp_path / "regions.toml", code=1)
    assert said.startswith(f"Error: {tmp_path / 'regions.toml'}: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("command", ["serve", "gateway"])
def test_where_another_listens_nobody_serves(tmp_path, monkeypatch, command):
    monkeypatch.setattr(process, "_LOCK_TRIES", 1)
    run("init", tmp_path / "a")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = run(command, tmp_path / "a", "--port", port, code=1)
    assert said == f"Error: port {port} of 127.0.0.1: Address already in use\n"


@contextmanager
def readable_by_nobody_else():
    """A folder that another user could reach, were it not for its own modes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
@pytest.mark.parametrize("mode", [0o700, 0o755])
@pytest.mark.parametrize("words", [("operator", "list"), ("serve",), ("jobs",)], ids=" ".join)
def test_a_folder_of_another_user_is_told_of_in_one_line(mode, words):
    with readable_by_nobody_else() as folder:
        run("init", folder / "a")
        (folder / "a").chmod(mode)
        os.seteuid(61001)
        try:
            said = run(*words, folder / "a", code=1)
        finally:
            os.seteuid(0)
    assert said.count("\n") == 1
    assert "Permission denied" in said or "belongs to root: runuser -u root -- headend …" in said


@pytest.mark.sqlite(why="a file that may be read and not written")
@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
def test_a_database_that_may_not_be_written_is_told_of_in_one_line():
    with readable_by_nobody_else() as folder:
        run("init", folder / "a")
        for path in ((folder / "a"), *(folder / "a").rglob("*")):
            if path.suffix != ".db":
                os.chown(path, 61001, 61001)
        (folder / "a" / "billing.db").chmod(0o644)
        os.seteuid(61001)
        try:
            said = run("account", "list", folder / "a", code=1)
        finally:
            os.seteuid(0)
    assert said.startswith(f"Error: {folder / 'a' / 'billing.db'}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("target", ["file/copy", "proc"])
def test_a_backup_to_where_nothing_can_be_written_is_one_line(tmp_path, target):
    (tmp_path / "file").touch()
    run("init", tmp_path / "a")
    where = "/proc/copy" if target == "proc" else tmp_path / target
    said = run("backup", tmp_path / "a", where, code=1)
    assert said.startswith("Error: ")
    assert said.count("\n") == 1


@pytest.mark.sqlite(why="what PostgreSQL writes on its own disk is not of this process")
def test_a_backup_that_finds_no_room_is_one_line_and_leaves_nothing(tmp_path):
    run("init", tmp_path / "a")
    (tmp_path / "target").mkdir()
    done = subprocess.run(
        [
            "prlimit",
            "--fsize=60000",
            sys.executable,
            "-m",
            "headend",
            "backup",
            tmp_path / "a",
            tmp_path / "target" / "b",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: a database could not be copied: ")
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    "words",
    [
        ("operator", "list", "{folder}"),
        ("serve", "{folder}"),
        ("gateway", "{folder}"),
        ("migrate", "{folder}", "--to", "postgresql://nowhere.example/{{side}}"),
        ("apart", "{folder}", "{folder}-apart", "--sides", "billing"),
        ("exchange", "{folder}"),
    ],
    ids=lambda words: words[0],
)
def test_root_makes_nothing_in_a_folder_of_another_user_and_is_told_how(tmp_path, words):
    run("init", tmp_path / "a")
    for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
        os.chown(path, 1, 1)
    before = sorted(tmp_path.rglob("*"))
    said = run(*(word.format(folder=tmp_path / "a") for word in words), code=1)
    assert said == f"Error: {tmp_path / 'a'} belongs to daemon: runuser -u daemon -- headend …\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.sqlite(why="without --database a backup is restored into files")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_may_back_up_a_folder_of_another_user_which_stays_usable_to_it(tmp_path):
    (tmp_path / "pass").write_text("correct horse battery")
    words = ("--passphrase-file", tmp_path / "pass")
    run("init", tmp_path / "a")
    for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
        os.chown(path, 1, 1)
    run("backup", tmp_path / "a", tmp_path / "copy", *words)
    roots = {path.name for path in (tmp_path / "a").rglob("*") if path.stat().st_uid == 0}
    assert roots <= {"backed-up"}, "which anybody may read, and the folder's owner replace"
    assert "chown -R stb:" in run("restore", tmp_path / "copy", tmp_path / "b", *words)


def test_accounts_are_imported_all_or_none(tmp_path):
    run("init", tmp_path / "a")
    table = tmp_path / "accounts.csv"
    table.write_text(
        "account,postal_area,zone,country,language\na,1,Europe/Brussels,BE,fr\nb,1,Nowhere,BE,nl\n"
    )
    assert "row 3" in run("account", "import", tmp_path / "a", table, code=1)
    assert run("account", "list", tmp_path / "a", "--json").strip() == "[]"


def test_a_simulated_installation_is_stamped_in_every_database(tmp_path):
    from shared.system_clock import ClockSteerer
    from tests.builders import NOW

    ClockSteerer(tmp_path / "clock", NOW)
    run("init", tmp_path / "a", "--simulated", "--clock", tmp_path / "clock")
    run("init", tmp_path / "real")
    for side, words in (
        ("billing", ("reconcile",)),
        ("analytics", ("release", "list")),
        ("console", ("operator", "list")),
    ):
        kept = Installation(tmp_path / "real").place(side)
        theirs = engines.copied(Installation(tmp_path / "a").place(side), tmp_path / f"{side}.db")
        with swapped(side, kept, theirs):
            assert "simulated" in run(*words, tmp_path / "real", code=1), side


@contextmanager
def swapped(side, kept, theirs):
    """Have another database where one was: in the file's place, or by the settings' word."""
    if engines.is_url(kept):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"HEADEND_{side.upper()}_DATABASE", theirs)
            yield
        return
    aside = kept.rename(kept.with_suffix(".kept"))
    for ending in ("-wal", "-shm"):
        kept.with_name(kept.name + ending).unlink(missing_ok=True)
    theirs.rename(kept)
    yield
    aside.rename(kept)


def test_a_directory_is_published_once_and_shown_as_it_was(tmp_path):
    run("init", tmp_path / "a")
    run("directory", "publish", tmp_path / "a", "2030-W10")
    shown = run("directory", "show", tmp_path / "a", "2030-W10")
    run("directory", "publish", tmp_path / "a", "2030-W10")
    assert run("directory", "show", tmp_path / "a", "2030-W10") == shown
    assert "no directory" in run("directory", "show", tmp_path / "a", "2030-W11", code=1)


def test_a_month_that_is_not_over_is_not_billed(tmp_path):
    run("init", tmp_path / "a")
    assert "not over" in run("invoice", "raise", tmp_path / "a", "2999-01", code=1)
    assert "raised 0 bills" in run("invoice", "raise", tmp_path / "a", "2020-01")
