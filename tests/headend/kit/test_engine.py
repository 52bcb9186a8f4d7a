import subprocess
import sys

import pytest

from headend.billing.engines import open_store
from headend.kit import engine

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from headend.__main__ import main
main(sys.argv[1:])
"""


@pytest.mark.sqlite(why="a machine without PostgreSQL's driver has its databases in files")
def test_a_headend_in_files_is_made_looked_at_and_asked_without_the_driver_of_postgresql(tmp_path):
    """The driver is an extra: no command may import it before a database asks for it."""
    folder = str(tmp_path / "stb")
    for words in (["init", folder], ["doctor", folder, "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 0 or words[0] == "doctor", done.stderr


def test_a_database_on_postgresql_says_that_its_driver_is_missing(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    with pytest.raises(engine.DriverMissingError, match="extra `postgres`"):
        open_store("postgresql://db.example/stb")


@pytest.mark.parametrize("place", ["postgresql://h/a", "postgres://h/a"])
def test_an_address_of_postgresql_is_told_from_a_file(place, tmp_path):
    assert engine.is_url(place)
    assert not engine.is_url(tmp_path / place)
