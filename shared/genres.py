"""The closed genre lists, and the ways into them.

Viewing genres are level 1 of the DVB content descriptor (ETSI EN 300 468, table 29); ordered genres are
level 2 of its films, without adult ones, and a list of games. What could tell a belief, an opinion or a
sexual preference (0x18, 0x73, 0x8*, 0xC*) is never told apart below level 1.
"""

GENRE_LIST_VERSION = 1

OTHER = "other"
_LEVEL_1 = {
    0x1: "film-drama",
    0x2: "news",
    0x3: "show",
    0x4: "sports",
    0x5: "children",
    0x6: "music",
    0x7: "arts",
    0x8: "social-political",
    0x9: "education-science",
    0xA: "leisure",
}
GENRES = (*_LEVEL_1.values(), OTHER)

FILM_GENERAL = "film-general"
_FILM_LEVEL_2 = {
    0x1: "film-thriller",
    0x2: "film-adventure",
    0x3: "film-science-fiction",
    0x4: "film-comedy",
    0x5: "film-soap",
    0x6: "film-romance",
    0x7: "film-serious",
}
FILM_GENRES = (FILM_GENERAL, *_FILM_LEVEL_2.values())
GAME_GENRES = (
    "game-action",
    "game-adventure",
    "game-arcade",
    "game-board",
    "game-card",
    "game-puzzle",
    "game-role-playing",
    "game-simulation",
    "game-sports",
    "game-strategy",
)
ORDERED_GENRES = FILM_GENRES + GAME_GENRES

SHIFT_LIVE = "live"
SHIFT_VOD = "vod"
SHIFT_CLASSES = (SHIFT_LIVE, "same-day", "within-7-days", "within-28-days", "later", SHIFT_VOD)
_SHIFT_DAYS = ((0, "same-day"), (7, "within-7-days"), (28, "within-28-days"))

_CATALOGUE_FILM = {
    "Action": "film-adventure",
    "Adventure": "film-adventure",
    "Western": "film-adventure",
    "War": "film-adventure",
    "Crime": "film-thriller",
    "Mystery": "film-thriller",
    "Thriller": "film-thriller",
    "Fantasy": "film-science-fiction",
    "Horror": "film-science-fiction",
    "Sci-Fi": "film-science-fiction",
    "Comedy": "film-comedy",
    "Music": "film-soap",
    "Musical": "film-soap",
    "Romance": "film-romance",
    "Biography": "film-serious",
    "History": "film-serious",
}


def genre_of_dvb(code: int) -> str:
    """The viewing genre of a DVB content descriptor byte (level 1 in the high nibble).

    >>> genre_of_dvb(0x43), genre_of_dvb(0xC1), genre_of_dvb(0x18)
    ('sports', 'other', 'film-drama')
    """
    return _LEVEL_1.get(code >> 4, OTHER)


def film_genre_of_dvb(code: int) -> str | None:
    """The ordered genre of a film's DVB byte; None for adult films, which no measure counts."""
    if code >> 4 != 0x1:
        return FILM_GENERAL
    return None if code == 0x18 else _FILM_LEVEL_2.get(code & 0xF, FILM_GENERAL)  # noqa: PLR2004 (0x18: adult)


def film_genre_of_words(words: list[str]) -> str:
    """The ordered genre of a film from a catalogue's genre words; the first listed counts.

    >>> film_genre_of_words(["Drama", "Crime"]), film_genre_of_words(["Sci-Fi"])
    ('film-general', 'film-science-fiction')
    """
    return _CATALOGUE_FILM.get(words[0], FILM_GENERAL) if words else FILM_GENERAL


def shift_class(days: int) -> str:
    """The shift class of a recording or catch-up viewed `days` viewing days after its broadcast.

    Live viewing and VOD are not a matter of days; the player says so.
    """
    return next((name for limit, name in _SHIFT_DAYS if days <= limit), "later")
