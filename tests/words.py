"""Messages of the console: what the code says, and what stands in the .po files.

    python -m tests.words        # bring the .po files in step with the code: new messages come untranslated

Messages are found in calls of `text`, `html`, `plural`, `_` and `N_`, in Python and in templates; what the
registers declare is one too, and the first sentence of each refusal that an operator can meet.
"""

import importlib
import io
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

import headend
from headend.disclosure import Kind, Purpose, Recipient
from shared.errors import StbError
from shared.field_register import declared, places

PACKAGE = Path(headend.__file__).parent
LOCALE = PACKAGE / "kit" / "locale"
TRANSLATED = ("nl", "fr")
KEYWORDS = {"text": None, "html": None, "_": None, "N_": None, "plural": (1, 2), "_html": None}
METHODS = {".py": "python", ".html": "jinja2.ext:babel_extract"}
DROPPED = tuple(
    f'"{name}'
    for name in (
        "Project-Id-Version",
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
"""Lines of the header that would differ by the day."""
REFUSING = (
    "headend.analytics.publication",
    "headend.analytics.trend_pages",
    "headend.billing.credits",
    "headend.billing.disputes",
    "headend.billing.documents.document",
    "headend.billing.documents.gather",
    "headend.billing.documents.pdf",
    "headend.billing.exports",
    "headend.billing.pages.crediting",
    "headend.billing.pages.desk",
    "headend.billing.proving",
    "headend.billing.receivers",
    "headend.billing.rows",
    "headend.billing.suspense",
    "headend.console.access",
    "headend.console.auditing",
    "headend.console.factors",
    "headend.console.guard",
    "headend.console.operators",
    "headend.console.pages",
    "headend.console.passwords",
    "headend.console.second_factor",
    "headend.console.yourself",
    "headend.disclosure",
    "headend.kit.storage",
)
"""The rooms whose refusals an operator can meet."""
OPTIONS = {"trimmed": "true", "silent": "false"}


def sources() -> Iterator[Path]:
    """The files that can hold messages."""
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in METHODS and "locale" not in path.parts:
            yield path


def messages() -> dict[str | tuple[str, str], set[str]]:
    """Each message, or pair of singular and plural, with the files that hold it."""
    found: dict[str | tuple[str, str], set[str]] = {}
    for path in sources():
        for _, message, _, _ in extract_from_file(
            METHODS[path.suffix], path, keywords=KEYWORDS, options=OPTIONS
        ):
            key = message if isinstance(message, str) else tuple(message[:2])
            if key:
                found.setdefault(key, set()).add(str(path.relative_to(PACKAGE.parent)))
    for key, place in chain(declared_words(), refusals()):
        found.setdefault(key, set()).add(place)
    return found


def declared_words() -> Iterator[tuple[str, str]]:
    """What the registers declare and the disclosure table names: it is shown as it stands, translated."""
    for place in places():
        for entry in declared(place).values():
            for text in (entry.purpose, entry.basis, entry.retention, *entry.recipients):
                yield text, f"shared/fields/{place}.toml"
    for names in (Kind, Recipient, Purpose):
        for name in names:
            yield name.value, "headend/disclosure.py"


def refusals() -> Iterator[tuple[str, str]]:
    """The first sentence of each refusal that an operator can meet."""
    for module in REFUSING:
        for kind in vars(importlib.import_module(module)).values():
            if isinstance(kind, type) and issubclass(kind, StbError) and kind.__module__ == module:
                yield (kind.__doc__ or "").split("\n")[0], module.replace(".", "/") + ".py"


def read(code: str) -> Catalog:
    """A language's catalogue as it stands."""
    path = LOCALE / f"{code}.po"
    return read_po(io.BytesIO(path.read_bytes() if path.exists() else b""), locale=code)


def refreshed(code: str) -> bytes:
    """The catalogue in step with the code: translations are kept, what is no longer said goes."""
    old, new = (
        read(code),
        Catalog(locale=code, header_comment=f"# What the console says, in {code}.", fuzzy=False),
    )
    for key, said_in in sorted(messages().items(), key=str):
        known = old.get(key if isinstance(key, str) else key[0])
        new.add(key, known.string if known else "", locations=[(place, 0) for place in sorted(said_in)])
    out = io.BytesIO()
    new.creation_date = new.revision_date = None
    write_po(out, new, width=110, include_lineno=False, sort_output=True, omit_header=False)
    lines = out.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(DROPPED)).encode()


def untranslated(catalogue: Catalog) -> list[str]:
    """The messages without a translation, or with only one of singular and plural."""
    strings = ((one.id, (one.string,) if isinstance(one.string, str) else one.string) for one in catalogue)
    return [str(key) for key, said in strings if key and not all(said)]


def main() -> int:
    LOCALE.mkdir(exist_ok=True)
    for code in TRANSLATED:
        (LOCALE / f"{code}.po").write_bytes(refreshed(code))
        missing = [
            one.id
            for one in read(code)
            if one.id and not all([one.string] if isinstance(one.string, str) else one.string)
        ]
        print(f"{code}: {len(missing)} to translate")
    return 0


if __name__ == "__main__":
    sys.exit(main())
