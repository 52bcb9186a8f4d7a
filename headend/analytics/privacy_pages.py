"""The pages of the privacy group: who takes part, what is measured, and what boxes are told each week."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headend.analytics.popularity_pages import PACKAGE
from headend.analytics.release_pages import ROWS, rho
from headend.analytics.shelf import Shelf
from headend.analytics.store import AnalyticsStore, StoredDirectory
from headend.analytics.windows import week_of
from headend.analytics.wording import DIMENSIONS, Wording
from headend.kit.charts import Caption
from headend.kit.language import Language
from headend.kit.lines import Point, exact, line_chart
from headend.kit.pages import render
from headend.kit.side import Visit
from shared.directory import Directory, read_directory
from shared.register import MINUTES_AN_HOUR, REGION, Grid, Kind, Measure, Profile, register_version
from shared.totals import read_totals
from shared.weeks import Week
from shared.words import words_of

_DIRECTORIES = 26
_COLUMNS = ("week", "accounts_drawn", "accounts_asked", "rate", "tokens_issued", "tokens_accepted")
_ALMOST_SURELY = 1.96


@dataclass(frozen=True)
class TakingPart:
    """Who took part in a released week; `drawn` is not known where the totals of the week are not here."""

    week: str
    drawn: int | None
    asked: int
    issued: int
    accepted: int

    @property
    def rate(self) -> float | None:
        """The part of drawn boxes that asked for tokens."""
        return self.asked / self.drawn if self.drawn else None


class PrivacyPages:
    """The pages over one store; `in_force` is the profile of the week to be released next."""

    def __init__(self, store: AnalyticsStore, shelf: Shelf, in_force: Callable[[], Profile]) -> None:
        self._store = store
        self._shelf = shelf
        self._in_force = in_force

    # --- who takes part
    def taking_part(self, most: int) -> list[TakingPart]:
        """The last released weeks, oldest first; a week that is not released tells nothing."""
        return [self._taking_part(week) for week in self._shelf.standing().released[-most:]]

    def _taking_part(self, week: Week) -> TakingPart:
        table, stored = self._shelf.table(week), self._store.totals(week)
        return TakingPart(
            str(week),
            read_totals(stored.payload)[1].accounts_drawn if stored else None,
            table.accounts_asked,
            sum(table.issued.values()),
            sum(table.accepted.values()),
        )

    def consent(self, visit: Visit) -> str:
        """The part of drawn boxes that asked for tokens, week by week, from released weeks only."""
        words, weeks = Wording(visit.language), self.taking_part(ROWS)
        known = [one for one in weeks if one.rate is not None]
        return render(
            PACKAGE,
            "consent.html",
            visit,
            last=known[-1] if known else None,
            chart=_consent_chart(weeks, words) if weeks else "",
            weeks=list(reversed(weeks)),
        )

    def consent_file(self) -> bytes:
        """The same as CSV, of all released weeks."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(_COLUMNS)
        for one in self.taking_part(len(self._shelf.standing().released)):
            rate = "" if one.rate is None else f"{one.rate:.6g}"
            drawn = "" if one.drawn is None else one.drawn
            writer.writerow([one.week, drawn, one.asked, rate, one.issued, one.accepted])
        return out.getvalue().encode()

    # --- what is measured
    def measures(self, visit: Visit) -> str:
        """The measures of the profile in force, each with everything that the register says of it."""
        taken, words = self._in_force(), Wording(visit.language)
        regions = self._regions()
        return render(
            PACKAGE,
            "measures_taken.html",
            visit,
            profile=taken,
            version=register_version(),
            cards=[_card(one, taken, regions, words) for one in taken.measures],
            total=rho(taken.rho_micro, words),
            facts=sum(one.quota for one in taken.measures),
            regions=regions,
        )

    def _regions(self) -> tuple[str, ...]:
        newest = self._store.directories(None, 1)
        return tuple(_read(newest[0]).regions) if newest else ()

    # --- what boxes are told
    def directories(self, visit: Visit) -> str:
        """The directories that were published, newest first."""
        found = self._store.directories(week_of(visit.arg("before")), _DIRECTORIES + 1)
        states, words = self._store.states(), Wording(visit.language)
        shown = found[:_DIRECTORIES]
        names = words_of(visit.language.code).names
        return render(
            PACKAGE,
            "directories.html",
            visit,
            rows=[
                {
                    "stored": one,
                    "said": said,
                    "measures": ", ".join(names.get(taken.name, taken.name) for taken in said.measures),
                    "state": states[one.week].value,
                    "told": words.state(states[one.week]),
                }
                for one in shown
                for said in [_read(one)]
            ],
            older=str(shown[-1].week) if len(found) > len(shown) else "",
            paged=bool(visit.arg("before")),
        )


def _read(stored: StoredDirectory) -> Directory:
    return read_directory(stored.payload, stored.week)


def _consent_chart(weeks: Sequence[TakingPart], words: Wording) -> str:
    points = [
        exact(one.week, one.rate)
        if one.rate is not None
        else Point(one.week, withheld=words.text("the week's totals are not here"))
        for one in weeks
    ]
    told = "; ".join(f"{one.week} {words.percent(one.rate)}" for one in weeks[-8:] if one.rate is not None)
    caption = Caption("consent", words.text("Consent rate by week"), told)
    return line_chart(caption, points, words.percent)


def _card(one: Measure, taken: Profile, regions: tuple[str, ...], words: Wording) -> dict[str, Any]:
    """What the register says of a measure, in words and in figures."""
    said = words_of(words.language.code)
    by_region = REGION in one.grid
    name = said.names[one.name]
    return {
        "code": one.name,
        "name": name[:1].upper() + name[1:],
        "tells": one.words(words.language.code),
        "how": getattr(said.explain, _how(one)).format(hours=one.volume_minutes // MINUTES_AN_HOUR),
        "purpose": said.purposes[one.purpose],
        "owner": said.owners[one.owner],
        "review": words.language.date(one.review),
        "grid": ", ".join(words.text(DIMENSIONS[name]) for name in one.grid) or words.text("no division"),
        "quota": one.quota,
        "cells": words.language.number(Grid(one, regions or ("",)).size),
        "by_region": by_region and not regions,
        "noise": _noise(one, words.language),
        "rho": rho(one.rho_micro, words),
        "part": words.language.percent(one.rho_micro / taken.rho_micro, 0),
    }


def _how(one: Measure) -> str:
    if one.kind is Kind.ONE_MINUTE:
        return "order" if "ordered-genre" in one.grid else "minute"
    return one.kind.value


def _noise(one: Measure, language: Language) -> str:
    """By how much a week's sum is off at most, in 95% of cases."""
    half = _ALMOST_SURELY * one.sigma
    if one.kind is Kind.TIMED:
        hours = half * one.volume_minutes / MINUTES_AN_HOUR
        return language.text("{hours} hours", hours=language.number(hours))
    return language.plural("{n} box", "{n} boxes", round(half))
