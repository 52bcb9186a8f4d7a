"""What the town can order: real films and free games, at invented prices, and what is taken off them."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Literal

from shared.errors import StbError
from shared.genres import film_genre_of_words
from shared.named import Offer, Promotion

Kind = Literal["film", "game"]
Mode = Literal["rent", "buy", "subscription"]
Display = Literal["title", "class", "amount"]
Category = Literal["welcome", "loyalty", "campaign"]

CURRENCY = "EUR"
VAT_BP = 2100
_ADULT_EVERY = 100  # one offer in so many has no genre
_FREE_PART = 0.55  # of films, in the subscription: most plays of a month are free ones
_BUY_PART = 0.1  # of what is paid for
_RENT_CENTS = (199, 299, 399, 499)
_BUY_CENTS = (999, 1299)
_WINDOWS = (48, 48, 48, 24)
_DISPLAYS: tuple[Display, ...] = ("title", "title", "title", "title", "class", "amount")
_ADULT_MINUTES = 80
_GAME_MINUTES = 0  # a game is played, not viewed
_PREVIEW_MINUTES = 5
_PREVIEW_EVERY = 3  # one film that is rented in so many


class TooManyOffersError(StbError):
    """More films or games were asked for than the data files hold."""


@dataclass(frozen=True)
class Title:
    """An offer with what only the town needs to know of it; minutes are 0 for a game."""

    offer: Offer
    year: int
    runtime_min: int


@cache
def _rows(name: str) -> list[dict[str, str]]:
    text = files("simulator").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def make_titles(random: Random, films: int, games: int, from_ms: int) -> list[Title]:
    """Draw a catalogue; the same generator state gives the same one.

    Args:
        random: Decides which titles, modes and prices.
        films: How many films; one in a hundred is an adult offer with an invented, neutral title.
        games: How many games.
        from_ms: Unix milliseconds from which all of them are valid.

    Raises:
        TooManyOffersError: There are not so many films or games, or a number is negative.
    """
    film_rows, game_rows = _rows("films.tsv"), _rows("games.tsv")
    if not (0 <= films <= len(film_rows) and 0 <= games <= len(game_rows)):
        raise TooManyOffersError(f"there are {len(film_rows)} films and {len(game_rows)} games")
    adult = films // _ADULT_EVERY
    found = [
        _film(random, number, row, from_ms)
        for number, row in enumerate(random.sample(film_rows, films - adult))
    ]
    found += [_adult(random, number, from_ms) for number in range(films - adult, films)]
    found += [
        _game(random, number, row, from_ms) for number, row in enumerate(random.sample(game_rows, games))
    ]
    return found


def make_offers(random: Random, films: int, games: int, from_ms: int) -> list[Offer]:
    """The offers of `make_titles`, for a catalogue; raises what it raises."""
    return [title.offer for title in make_titles(random, films, games, from_ms)]


def make_promotions(from_ms: int, to_ms: int) -> list[Promotion]:
    """What is taken off orders between two instants (Unix milliseconds); one of them ends half-way."""
    halfway_ms = (from_ms + to_ms) // 2
    return [
        Promotion(
            promotion=name,
            version=1,
            category=name,
            kinds=["film", "game"] if name == "welcome" else ["film"],
            credit_cents=cents,
            currency=CURRENCY,
            per_account=times,
            valid_from_ms=from_ms,
            valid_to_ms=until_ms,
        )
        for name, cents, times, until_ms in _promotions(halfway_ms, to_ms)
    ]


def _promotions(halfway_ms: int, to_ms: int) -> list[tuple[Category, int, int, int]]:
    """Category, cents, times an account, end."""
    return [("welcome", 250, 1, to_ms), ("campaign", 150, 3, halfway_ms), ("loyalty", 100, 5, to_ms)]


def _film(random: Random, number: int, row: dict[str, str], from_ms: int) -> Title:
    genre = film_genre_of_words(row["genres"].split(", "))
    free = random.random() < _FREE_PART
    offer = _offer(random, ("film", number), (row["title"], genre), from_ms, free=free)
    return Title(offer, int(row["year"]), int(row["runtime_min"]))


def _adult(random: Random, number: int, from_ms: int) -> Title:
    offer = _offer(random, ("film", number), (f"After midnight {number}", None), from_ms, free=False)
    return Title(offer, 2000, _ADULT_MINUTES)


def _game(random: Random, number: int, row: dict[str, str], from_ms: int) -> Title:
    offer = _offer(random, ("game", number), (row["title"], row["genre"]), from_ms, free=False)
    return Title(offer, 2000, _GAME_MINUTES)


def _offer(
    random: Random, name: tuple[Kind, int], what: tuple[str, str | None], from_ms: int, *, free: bool
) -> Offer:
    kind, number = name
    title, genre = what
    bought = random.random() < _BUY_PART
    mode, cents, hours = _terms(random, free=free, bought=bought)
    return Offer(
        offer=f"{kind}-{number:05}",
        version=1,
        kind=kind,
        mode=mode,
        title=title,
        genre=genre,
        price_cents=cents,
        currency=CURRENCY,
        vat_bp=VAT_BP,
        window_hours=hours,
        display="amount" if genre is None else random.choice(_DISPLAYS),
        valid_from_ms=from_ms,
        preview_minutes=_PREVIEW_MINUTES if _has_preview(kind, mode, number) else 0,
    )


def _has_preview(kind: Kind, mode: Mode, number: int) -> bool:
    return kind == "film" and mode == "rent" and number % _PREVIEW_EVERY == 0


def _terms(random: Random, *, free: bool, bought: bool) -> tuple[Mode, int, int]:
    """Mode, price in cents, rental window in hours."""
    if free:
        return "subscription", 0, random.choice(_WINDOWS)
    if bought:
        return "buy", random.choice(_BUY_CENTS), 0
    return "rent", random.choice(_RENT_CENTS), random.choice(_WINDOWS)


class Shelf:
    """Titles of one sort, a few of them far more popular than the rest (Zipf's law over the list's order)."""

    def __init__(self, titles: list[Title]) -> None:
        self._titles = titles
        self._weights = list(accumulate(1 / rank for rank in range(1, len(titles) + 1)))

    def __len__(self) -> int:
        return len(self._titles)

    def choose(self, random: Random) -> Title:
        """Draw a title; the shelf must not be empty."""
        return random.choices(self._titles, cum_weights=self._weights)[0]


@dataclass(frozen=True)
class Shop:
    """The catalogue as viewers see it: films that cost, films that are free, games."""

    paid: Shelf
    free: Shelf
    games: Shelf


def open_shop(titles: list[Title]) -> Shop:
    """Sort titles onto their shelves."""
    films = [title for title in titles if title.offer.kind == "film"]
    return Shop(
        Shelf([title for title in films if title.offer.price_cents]),
        Shelf([title for title in films if not title.offer.price_cents]),
        Shelf([title for title in titles if title.offer.kind == "game"]),
    )
