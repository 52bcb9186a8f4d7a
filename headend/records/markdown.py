"""Pages of plain Markdown: tables, lists, and what somebody has to fill in, plainly marked."""

from collections.abc import Iterable, Sequence

LEGAL = (
    "Made from what the system declares, not by a lawyer. **Every legal reference has to be checked by a "
    "lawyer before this page is relied on.**"
)


def blank(what: str) -> str:
    """What only the controller can say."""
    return f"**[fill in: {what}]**"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars within cells are escaped, so that no cell can begin another."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_cell(one) for one in line) + " |" for line in lines)


def items(texts: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {text}" for text in texts)


def page(title: str, *blocks: str) -> str:
    """A page of blocks under its title."""
    return "\n\n".join([f"# {title}", *blocks]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
