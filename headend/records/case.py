"""What the rules for the register of measures look at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.register import Measure, declaration, read_measure
from shared.words import LANGUAGES, Words, words_of


@dataclass(frozen=True)
class Case:
    """What the rules look at: the register as its file says it, today, and the words by language."""

    declared: dict[str, Any]
    today: date
    words: Mapping[str, Words]

    @property
    def measures(self) -> list[dict[str, Any]]:
        """The declared measures."""
        return list(self.declared["measures"])

    @property
    def profiles(self) -> dict[str, dict[str, Any]]:
        """The declared profiles."""
        return dict(self.declared["profiles"])

    def taken(self) -> Iterator[tuple[str, Measure]]:
        """Every profile's name with each measure that it takes."""
        by_name = {measure["name"]: measure for measure in self.measures}
        for name, entry in self.profiles.items():
            for line in entry["measures"]:
                yield name, read_measure(by_name[line["name"]], line)


Rule = Callable[[Case], Iterator[str]]


def packaged(today: date) -> Case:
    """The register and the words packaged here."""
    return Case(declaration(), today, {language: words_of(language) for language in LANGUAGES})
