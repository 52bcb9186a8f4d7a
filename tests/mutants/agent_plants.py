"""Bugs in the agent's doors; the fuzzer's short run has to find each."""

from tests.mutants.plants import Change, Mutant, single

AGENT = "box_agent"
_RUN = "tests/fuzz/test_fuzz.py::test_nothing_that_may_never_happen_happens_behind_a_door"

MUTANTS = (
    single(
        "an event is told as kept and dropped",
        f"{AGENT}/front.py",
        "return self._core.recorder.report(event)",
        "return self._core.consent.active()",
        _RUN,
    ),
    single(
        "a number of any size reaches the store",
        f"{AGENT}/local_socket.py",
        "    order: Annotated[int, Meta(ge=1, le=2**53)]\n",
        "    order: int\n",
        _RUN,
    ),
    single(
        "what is no JSON escapes",
        f"{AGENT}/events.py",
        "    except (ValueError, RecursionError) as error:\n        raise BadEventError(str(error))",
        "    except RecursionError as error:\n        raise BadEventError(str(error))",
        _RUN,
    ),
    single(
        "after a line that is too long the rest is read out of step",
        f"{AGENT}/listener.py",
        "            if not taken or len(line) > MAX_LINE:\n",
        "            if not taken:\n",
        _RUN,
    ),
    single(
        "an empty line is not answered",
        f"{AGENT}/listener.py",
        "            taken = _say(connection.socket, self._answer_to(line))\n",
        "            taken = not line or _say(connection.socket, self._answer_to(line))\n",
        _RUN,
    ),
    single(
        "a thread for each who comes",
        f"{AGENT}/listener.py",
        "if len(self._open) < MOST_CONNECTIONS:",
        "if len(self._open) < 10**6:",
        _RUN,
    ),
    single(
        "five may wait to be accepted",
        f"{AGENT}/listener.py",
        "found.listen(_BACKLOG)",
        "found.listen(5)",
        _RUN,
    ),
    single(
        "a locked PIN counts the tries that it refuses",
        f"{AGENT}/pin.py",
        '            raise PinLockedError("too many',
        '            self._door.write("UPDATE pin SET missed = missed + 1")\n'
        '            raise PinLockedError("too many',
        _RUN,
    ),
    single(
        "a withdrawal destroys before it is checked",
        f"{AGENT}/consent.py",
        "        shown.check()\n        self._refuse(WITHDRAWN",
        "        self._drop()\n        shown.check()\n        self._refuse(WITHDRAWN",
        _RUN,
    ),
    single(
        "viewing from before the consent is kept",
        f"{AGENT}/consent.py",
        "return self.active() and at_ms >= self._answer.since_ms",
        "return self.active()",
        _RUN,
    ),
    single(
        "a sign of life counts as somebody there",
        f"{AGENT}/sessions.py",
        '_NO_ACTION = frozenset({"progress", "standby"})',
        '_NO_ACTION = frozenset({"standby"})',
        _RUN,
    ),
    single(
        "a stop on another tuner ends what is shown",
        f"{AGENT}/sessions.py",
        "        if self.front not in self.tuners:\n            self.finish()",
        "        self.finish()",
        _RUN,
    ),
    single(
        "a player's name for an item is taken as long as it is",
        f"{AGENT}/sources/kodi_item.py",
        "isinstance(found, int) and 0 < found < _MOST_NUMBER",
        'isinstance(found, int | str) and found not in {"", 0}',
        _RUN,
    ),
    single(
        "a programme may start in the year 9999",
        f"{AGENT}/sources/kodi_item.py",
        " if at.year <= _LAST_YEAR else 0",
        "",
        _RUN,
    ),
    single(
        "an escaped quote ends a text of Kodi's",
        f"{AGENT}/sources/json_stream.py",
        "            self._escaped = True\n",
        "            self._escaped = False\n",
        _RUN,
    ),
    Mutant(
        "viewing counts from the intent and not from the picture",
        (
            Change(
                f"{AGENT}/sources/kodi_player.py",
                'Opening({**item, "playerid": number}, self._follows(now_ms))',
                'Opening({**item, "playerid": number}, self._follows(now_ms), now_ms)',
            ),
            Change(
                f"{AGENT}/sources/kodi_player.py",
                "self._screen.opening = opening._replace(pictured_ms=now_ms)",
                "self._screen.opening = opening._replace(pictured_ms=opening.pictured_ms or now_ms)",
            ),
        ),
        (_RUN,),
    ),
    single(
        "a pause of Kodi's is not told",
        f"{AGENT}/sources/kodi_player.py",
        '            "Player.OnPause": self._on_speed,\n',
        "",
        _RUN,
    ),
    single(
        "a zap of Kodi's does not end what was on",
        f"{AGENT}/sources/kodi_player.py",
        '        self._finish("stop", now_ms, by_box=self._follows(now_ms))\n        self._screen.rate',
        "        self._screen.rate",
        _RUN,
    ),
    single(
        "a zone west of Greenwich is taken for one east",
        f"{AGENT}/guide/xmltv_time.py",
        'minutes if digits[0] == "+" else -minutes',
        "minutes",
        _RUN,
    ),
    single(
        "entities may be declared",
        f"{AGENT}/guide/xmltv.py",
        "        parser.EntityDeclHandler = _no_entity\n",
        "",
        _RUN,
    ),
    single(
        "a category's text is added to the one before",
        f"{AGENT}/guide/xmltv.py",
        "            self._pieces, self._length = [], 0\n",
        "",
        _RUN,
    ),
    single(
        "a programme that ends before it starts is taken",
        f"{AGENT}/guide/xmltv.py",
        "    if end_ms <= start_ms:",
        "    if end_ms == start_ms:",
        _RUN,
    ),
    single(
        "the guide is dropped before the next one is read",
        f"{AGENT}/guide/store.py",
        '            connection.execute("DELETE FROM fresh")\n            taken',
        '            connection.execute("DELETE FROM programme")\n            taken',
        _RUN,
    ),
    single(
        "a packed guide that is cut off is taken",
        f"{AGENT}/guide/unpacked.py",
        "    if not stream.eof:\n",
        "    if not chunks:\n",
        _RUN,
    ),
    single(
        "every text that no list knows is remembered",
        f"{AGENT}/guide/categories.py",
        "len(self.unmapped) < MAX_UNMAPPED",
        "self.unmapped is not None",
        _RUN,
    ),
)
