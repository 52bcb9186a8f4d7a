"""The first rules for the register: its entries are there and of their types, and name what there is."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from headend.records.case import Case, Rule
from shared.register import Kind, UndeclaredError, values_of

_MEASURE_KEYS = {"name": str, "number": int, "grid": list, "purpose": str, "owner": str, "review": date}
_TAKEN_KEYS = {"name": str, "kind": str, "quota": int, "rho_micro": int}
_PROFILE_KEYS = {"min_accounts": int, "max_accounts": int, "rho_micro_year": int, "epsilon": list}


def every_entry_is_there(case: Case) -> Iterator[str]:
    """Owner, review date and all the rest; what is missing cannot be looked at."""
    for measure in case.measures:
        yield from _missing(f"measure {measure.get('name', '?')}", measure, _MEASURE_KEYS)
    for name, entry in case.profiles.items():
        yield from _missing(f"profile {name}", entry, _PROFILE_KEYS)
        for line in entry.get("measures", ()):
            yield from _missing(f"profile {name}, measure {line.get('name', '?')}", line, _TAKEN_KEYS)


def profiles_take_declared_measures(case: Case) -> Iterator[str]:
    """A profile takes what is declared, each once, and of a kind that there is."""
    names = {measure.get("name") for measure in case.measures}
    kinds = {kind.value for kind in Kind}
    for name, entry in case.profiles.items():
        taken = [line.get("name") for line in entry.get("measures", ())]
        yield from (f"profile {name} takes {one}, which is not declared" for one in taken if one not in names)
        yield from (f"profile {name} takes {one} twice" for one, n in Counter(taken).items() if n > 1)
        for line in entry.get("measures", ()):
            if line.get("kind") not in kinds:
                yield f"profile {name}, measure {line.get('name')}: no kind {line.get('kind')!r}"


def dimensions_are_known(case: Case) -> Iterator[str]:
    """A grid goes by closed lists only."""
    for measure in case.measures:
        for dimension in measure.get("grid", ()):
            if dimension not in case.declared["dimensions"] or not _is_dimension(dimension):
                yield f"measure {measure.get('name')}: no dimension {dimension!r}"


SHAPE_RULES: tuple[Rule, ...] = (every_entry_is_there, profiles_take_declared_measures, dimensions_are_known)


def _missing(place: str, entry: Mapping[str, Any], wanted: Mapping[str, type]) -> Iterator[str]:
    for key, kind in wanted.items():
        if not isinstance(entry.get(key), kind):
            yield f"{place}: {key} is missing, or no {kind.__name__}"


def _is_dimension(name: str) -> bool:
    try:
        values_of(name, ())
    except UndeclaredError:
        return False
    return True
