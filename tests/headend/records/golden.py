"""The records as they stand in docs/records/, and the threat model as the assessment takes it.

`python -m tests.headend.records.golden` writes them anew, after a change of what they are made from.
"""

import re
from pathlib import Path

from headend.records import dpia
from headend.records.dpia import assessment
from headend.records.printed import printed_notice
from headend.records.processing import processing_record
from shared.words import LANGUAGES
from tests.builders import SETTINGS

HOUSE = Path(dpia.__file__).parents[2]
FOLDER = HOUSE / "docs" / "records"
RISKS = Path(dpia.__file__).with_name("risks.toml")
THREATS = HOUSE / "docs" / "threat-model.md"


def threats():
    """The rows of the threat model's table, and its stated limits, as the page says them."""
    text = THREATS.read_text()
    table = re.search(r"^## Attacks and answers$(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in table.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| attack |"))
    ]
    limits = re.search(r"^## Stated limits$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    found = re.findall(r"^\d+\. (.*?)(?=^\d+\. |\Z)", limits, re.MULTILINE | re.DOTALL)
    return rows, [re.sub(r"\s+", " ", one).strip() for one in found]


def pages():
    """Every page by its name, as the generators make it for an installation of profile small."""
    made = {"processing.md": processing_record(SETTINGS), "dpia.md": assessment(SETTINGS)}
    return made | {f"notice-{one}.md": printed_notice(SETTINGS, one) for one in LANGUAGES}


def risks_toml():
    """The threat model's table as risks.toml holds it."""

    def text(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    rows, limits = threats()
    lines = [
        "# The table and the limits of docs/threat-model.md, word for word; a test keeps them in step.",
        "limits = [",
        *(f"  {text(one)}," for one in limits),
        "]",
    ]
    for attack, answer, remains, shown_by in rows:
        lines += [
            "",
            "[[risks]]",
            f"attack = {text(attack)}",
            f"answer = {text(answer)}",
            f"remains = {text(remains)}",
            f"shown_by = {text(shown_by)}",
        ]
    return "\n".join(lines) + "\n"


def write():
    """Write everything anew."""
    RISKS.write_text(risks_toml())
    dpia.risks.cache_clear()
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()
