import threading

import pytest

from headend.kit.together import ClosedError, Together


def ask_all(together, items):
    """Each item by a thread of its own; answers, or what was raised, in the items' order."""
    found = [None] * len(items)

    def ask(at):
        try:
            found[at] = together.ask(items[at])
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the test looks at whatever came)
            found[at] = error

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "nobody waits for ever"
    return found


class Gate:
    """Doubles numbers; its first group waits until so many more are waiting."""

    def __init__(self, fails=None):
        self.groups, self.fails = [], fails
        self.open = threading.Event()

    def __call__(self, group):
        self.groups.append(group)
        if len(self.groups) == 1:
            self.open.wait(10)
        if self.fails:
            raise self.fails
        return [ValueError(one) if one < 0 else 2 * one for one in group]


def held(gate, limit=100):
    """A `Together` whose first asker is held in its group until five others wait."""
    together = Together(gate, limit)
    waiting = threading.Thread(target=lambda: _until_waiting(together, 5, gate.open))
    waiting.start()
    return together


def _until_waiting(together, count, event):
    for _ in range(2_000):
        if len(together._waiting) >= count:
            break
        threading.Event().wait(0.005)
    event.set()


def test_each_gets_the_answer_to_its_own_item():
    together = Together(lambda group: [2 * one for one in group], 7)
    assert ask_all(together, list(range(1, 200))) == [2 * one for one in range(1, 200)]


def test_whatever_waits_is_done_at_once():
    gate = Gate()
    ask_all(held(gate), [1, 2, 3, 4, 5, 6])
    assert sorted(map(len, gate.groups)) == [1, 5]


def test_a_group_has_no_more_than_the_limit():
    gate = Gate()
    ask_all(held(gate, limit=2), [1, 2, 3, 4, 5, 6])
    assert sorted(map(len, gate.groups)) == [1, 1, 2, 2]


def test_an_items_own_failure_reaches_its_asker_alone():
    found = ask_all(held(Gate()), [1, -1, 2, 3, 4, 5])
    assert isinstance(found[1], ValueError)
    assert [found[0], *found[2:]] == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("failure", [RuntimeError("broken"), KeyboardInterrupt()], ids=repr)
def test_a_groups_failure_reaches_all_of_it_and_the_next_group_goes_on(failure):
    gate = Gate(fails=failure)
    together = held(gate)
    assert ask_all(together, [1, 2, 3, 4, 5, 6]) == [failure] * 6
    gate.fails = None
    assert together.ask(7) == 14


def test_closing_answers_what_waits_and_takes_nothing_more():
    gate = Gate()
    together = held(gate)
    found = []
    asker = threading.Thread(target=lambda: found.extend(ask_all(together, [1, 2, 3, 4, 5, 6])))
    asker.start()
    gate.open.wait(10)
    together.close()
    asker.join(10)
    assert sorted(found) == [2, 4, 6, 8, 10, 12]
    with pytest.raises(ClosedError):
        together.ask(1)
