"""Category texts of guides and players, in any of four languages, to DVB content descriptor bytes.

The shipped lists are `category_lists/*.tsv`: a text, a tab, a code in hex. A file of the same form, named in
the settings, wins over them. Case, accents and punctuation do not matter.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from shared.errors import StbError

MAX_UNMAPPED = 200
"""So many different unmapped texts are kept by name; further ones are counted together."""
MAX_SEEN = 2000
"""So many texts are remembered as they stand; a guide says the same few hundred over and over."""
MAX_TEXT = 200
REST = "(others)"
UNDEFINED = 0x00
FILM = 0x10
_DOCUMENTARY = 0x23
_CHILDREN = 0x5
_ADULT = 0xC
_GENRES = frozenset({*range(0x1, 0xB), _ADULT})
"""Level 1 codes that are a genre; 0xB describes a programme, 0x0 says nothing."""
_WORDS = re.compile(r"[^\W_]+|\+")
_PARTS = re.compile(r"[/,;|:.()]|\s[-\u2013&+]\s|\s(?:and|en|et|und)\s", re.IGNORECASE)


class BadCategoriesError(StbError):
    """A list of categories cannot be read, or has a line of another form; nothing of it is used."""


class Categories:
    """The mapping, and a count of the texts that it does not know.

    Raises:
        BadCategoriesError: the file named `extra` is no such list.
    """

    def __init__(self, extra: Path | None = None) -> None:
        self._extra = {} if extra is None else _read_extra(extra)
        self._seen: dict[str, list[int]] = {}
        self.unmapped: Counter[str] = Counter()

    def code(self, texts: Iterable[str]) -> int:
        """The code of a programme with these categories; 0 if none of them is known to be a genre.

        What is for children is so whatever else it is. Otherwise the first text that tells more than a
        genre in general counts ("Football" after "Sports"), or else the first that tells a genre.
        """
        return _choice(self._codes(texts))

    def film_code(self, texts: Iterable[str]) -> int:
        """The code of a film in a library: of its genre words the first that is one of films.

        A documentary remains one; any other film is a film in general.
        """
        codes = self._codes(texts)
        films = [code for code in codes if code >> 4 == FILM >> 4]
        return _choice(films) or (_DOCUMENTARY if _DOCUMENTARY in codes else FILM)

    def _codes(self, texts: Iterable[str]) -> list[int]:
        return [code for text in texts for code in self._codes_of(text[:MAX_TEXT]) if code >> 4 in _GENRES]

    def _codes_of(self, text: str) -> list[int]:
        codes = self._seen.get(text)
        if codes is None:
            codes = self._looked_up(text)
            if codes and len(self._seen) < MAX_SEEN:
                self._seen[text] = codes
        return codes

    def _looked_up(self, text: str) -> list[int]:
        found = self._lookup(text)
        if found is not None:
            return [found]
        parts = [self._lookup(part) for part in _PARTS.split(text)]
        codes = [code for code in parts if code is not None]
        if not codes:
            self._count(text)
        return codes

    def _lookup(self, text: str) -> int | None:
        plain = _plain(text)
        found = self._extra.get(plain)
        return self._shipped.get(plain) if found is None else found

    def _count(self, text: str) -> None:
        if _plain(text):
            known = text in self.unmapped or len(self.unmapped) < MAX_UNMAPPED
            self.unmapped[text if known else REST] += 1

    @cached_property
    def _shipped(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for entry in sorted(files("box_agent.guide").joinpath("category_lists").iterdir(), key=str):
            for text, code in _lines(entry.read_text(encoding="utf-8"), entry.name):
                found.setdefault(text, code)
        return found


def _choice(codes: list[int]) -> int:
    children = [code for code in codes if code >> 4 == _CHILDREN]
    candidates = children or codes
    telling = (code for code in candidates if code & 0xF not in {0x0, 0xF} or code >> 4 == _ADULT)
    return next(telling, candidates[0] if candidates else UNDEFINED)


def _plain(text: str) -> str:
    """What is compared: letters and digits only, lower case, without accents.

    >>> _plain("Kinder- /Jugendprogramm"), _plain("FUSSBALL"), _plain("Comédie")
    ('kinder jugendprogramm', 'fussball', 'comedie')
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(_WORDS.findall("".join(one for one in apart if not unicodedata.combining(one))))


def _read_extra(path: Path) -> dict[str, int]:
    try:
        return dict(_lines(path.read_text(encoding="utf-8"), path.name))
    except OSError as error:
        raise BadCategoriesError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadCategoriesError(f"{path} is not UTF-8") from error


def _lines(text: str, name: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words, tab, code = line.partition("\t")
        if not tab or not re.fullmatch("[0-9a-fA-F]{2}", code.strip()) or not _plain(words):
            raise BadCategoriesError(f"{name}, line {number}: not a text, a tab and a code in hex")
        yield _plain(words), int(code, 16)
