import os

import pytest

from headend.kit.files import new_folder, write_file, write_once, write_pieces
from headend.kit.http import Tally


def test_a_file_is_replaced_whole_and_private(tmp_path):
    write_file(tmp_path / "x", b"one")
    write_file(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"two"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x"], "nothing is left beside it"


@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_a_file_has_the_mode_that_was_asked_for_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_once(tmp_path / "public", b"", 0o644)
        write_file(tmp_path / "private", b"")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"public": 0o644, "private": 0o600}


def test_a_file_of_which_a_piece_cannot_be_had_is_not_written_and_leaves_nothing_behind(tmp_path):
    def pieces():
        yield b"two"
        raise LookupError

    write_pieces(tmp_path / "x", iter([b"o", b"ne"]))
    with pytest.raises(LookupError):
        write_pieces(tmp_path / "x", pieces())
    assert (tmp_path / "x").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_new_folder_stands_whole_or_not_at_all_and_is_for_its_owner_alone(tmp_path):
    def fill(name):
        with new_folder(tmp_path / name) as folder:
            assert not (tmp_path / name).exists()
            (folder / "x").write_bytes(b"x")
            if name == "fails":
                raise LookupError

    fill("made")
    with pytest.raises(LookupError):
        fill("fails")
    with pytest.raises(FileExistsError):
        fill("made")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "made" / "x").read_bytes() == b"x"


def test_what_a_killed_process_left_of_a_new_folder_is_not_in_the_next_one(tmp_path):
    (tmp_path / ".made.new" / "folder").mkdir(parents=True)
    (tmp_path / ".made.new" / "file").write_bytes(b"")
    with new_folder(tmp_path / "made") as folder:
        assert list(folder.iterdir()) == []
        with pytest.raises(FileExistsError, match="is being made"), new_folder(tmp_path / "made"):
            pass
        (folder / "x").write_bytes(b"")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["x"]


def test_what_is_written_once_stays_as_it_is(tmp_path):
    assert write_once(tmp_path / "x", b"first")
    assert not write_once(tmp_path / "x", b"second")
    assert (tmp_path / "x").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_tally_that_cannot_be_stored_stays_counted():
    tally, stored = Tally(), {"a": 5}

    def fails(_counts):
        raise OSError

    tally.add("a")
    for keep in (fails, stored.update):
        try:
            tally.store(keep)
        except OSError:
            assert tally.beside(lambda: {"a": 5}) == {"a": 6}
    assert stored == {"a": 1}
    assert tally.snapshot() == {}
