"""The closed genre lists, and the ways into them.

Viewing genres are level 1 of the DVB content descriptor (ETSI EN 300 468, table 29), details are its level 2
where that may be told; ordered genres are level 2 of its films, without adult ones, and a list of games. What
could tell a belief, an opinion, a sexual preference or a state of health (`is_sensitive`) is never told apart
below level 1.
"""

GENRE_LIST_VERSION = 2

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

_GENERAL = "-general"
# Names after table 29 of EN 300 468. A code that is not here counts as its genre in general: sensitive ones,
# user defined ones, and 0xB, which describes a programme and is no genre.
_LEVEL_2 = {
    **{0x10 | code: name for code, name in _FILM_LEVEL_2.items()},
    0x21: "news-bulletin",
    0x22: "news-magazine",
    0x23: "news-documentary",
    0x24: "news-debate",
    0x31: "show-quiz",
    0x32: "show-variety",
    0x33: "show-talk",
    0x41: "sports-event",
    0x42: "sports-magazine",
    0x43: "sports-football",
    0x44: "sports-tennis",
    0x45: "sports-team",
    0x46: "sports-athletics",
    0x47: "sports-motor",
    0x48: "sports-water",
    0x49: "sports-winter",
    0x4A: "sports-equestrian",
    0x4B: "sports-martial",
    0x51: "children-pre-school",
    0x52: "children-6-to-14",
    0x53: "children-10-to-16",
    0x54: "children-school",
    0x55: "children-cartoons",
    0x61: "music-pop",
    0x62: "music-classical",
    0x63: "music-folk",
    0x64: "music-jazz",
    0x65: "music-opera",
    0x66: "music-ballet",
    0x71: "arts-performing",
    0x72: "arts-fine",
    0x74: "arts-popular",
    0x75: "arts-literature",
    0x76: "arts-cinema",
    0x77: "arts-experimental",
    0x78: "arts-press",
    0x79: "arts-new-media",
    0x7A: "arts-magazine",
    0x7B: "arts-fashion",
    0x91: "education-nature",
    0x92: "education-technology",
    0x94: "education-countries",
    0x96: "education-further",
    0x97: "education-languages",
    0xA1: "leisure-travel",
    0xA2: "leisure-handicraft",
    0xA3: "leisure-motoring",
    0xA5: "leisure-cooking",
    0xA6: "leisure-shopping",
    0xA7: "leisure-gardening",
}
# Adult films, religion, medicine and psychology, spiritual sciences, fitness and health: what could tell of a
# special category of personal data (GDPR article 9); all of social and political, all of adult.
_SENSITIVE_CODES = frozenset({0x18, 0x73, 0x93, 0x95, 0xA4})
_SENSITIVE_LEVEL_1 = frozenset({0x8, 0xC})
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

_GENRE_OF_DETAIL = {genre + _GENERAL: genre for genre in GENRES} | {
    name: _LEVEL_1[code >> 4] for code, name in _LEVEL_2.items()
}
DETAILS = tuple(sorted(_GENRE_OF_DETAIL, key=lambda name: GENRES.index(_GENRE_OF_DETAIL[name])))
"""Level 2 where it may be told, genre by genre, each genre's own rest ("sports-general") first."""

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


def is_sensitive(code: int) -> bool:
    """Whether a DVB byte could tell more than level 1 of it may: it is never told apart below that."""
    return code in _SENSITIVE_CODES or code >> 4 in _SENSITIVE_LEVEL_1


def detail_of_dvb(code: int) -> str:
    """The detail of a DVB content descriptor byte; of a sensitive or unlisted one its genre in general.

    >>> detail_of_dvb(0x43), detail_of_dvb(0x73), detail_of_dvb(0x4F)
    ('sports-football', 'arts-general', 'sports-general')
    """
    return _LEVEL_2.get(code) or general_detail(genre_of_dvb(code))


def general_detail(genre: str) -> str:
    """The detail of what is known by its genre only."""
    return genre + _GENERAL


def genre_of_detail(detail: str) -> str:
    """The one viewing genre that a detail belongs to.

    Raises:
        KeyError: it is not one of `DETAILS`.
    """
    return _GENRE_OF_DETAIL[detail]


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
