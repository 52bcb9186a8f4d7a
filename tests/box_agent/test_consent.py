import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from box_agent.app import VIEWING_KEPT_MS, Agent
from box_agent.consent import BadConsentError, NoConsentError, Shown, WrongNoticeError
from box_agent.core import Core
from box_agent.events import BadEventError, Event, Item
from box_agent.store import StoreError
from shared.clock import to_ms
from shared.notice import notice_text
from shared.notice_version import notice_version
from tests.box_agent.fakes import START, W41, YES, ZONE, Bench, TwoClocks

PLAY = Event(event="play", item=Item(kind="live", genre="news", ref="secret-title"))
STOP = Event(event="stop")


def rows(agent: Agent, table: str) -> int:
    if table == "events":
        return agent._recorder._viewing.count()
    return agent._store.connection().execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def proof(agent: Agent) -> list[tuple[object, ...]]:
    """Every act of consent, in order."""
    wanted = "SELECT act, notice, at_ms, how, language FROM consent_log ORDER BY id"
    return agent._store.connection().execute(wanted).fetchall()


def due(bench: Bench) -> str | None:
    return bench.agent.status()["anonymous"]["reminder_due"]


def state_files(bench: Bench) -> list[Path]:
    """The store's files; the witness is none of them."""
    return list(bench.settings.state().glob("box.sqlite*"))


def put_back(bench: Bench, stored: dict[Path, bytes]) -> Agent:
    """A start on an older copy of the store."""
    for path in state_files(bench):
        path.unlink()
    for path, content in stored.items():
        path.write_bytes(content)
    return bench.start()


def watch(bench: Bench, minutes: int = 60) -> None:
    bench.agent.report(PLAY)
    bench.clock.advance(timedelta(minutes=minutes))
    bench.agent.report(STOP)


def test_consent_is_off_by_default_and_nothing_is_written(bench: Bench) -> None:
    bench.enrol()
    assert not bench.agent.consent().granted
    assert not bench.agent.report(PLAY)
    bench.agent.flush()
    assert rows(bench.agent, "events") == 0


def test_a_box_without_consent_says_nothing_on_the_anonymous_line_nor_asks_for_tokens(bench: Bench) -> None:
    bench.enrol()
    watch(bench)
    bench.run_until(to_ms(W41.plus(3).start(ZONE)))
    assert (bench.relay.sealed, bench.relay.fetched, bench.headend.asks) == ([], [], [])
    assert bench.headend.heartbeats


def test_a_yes_to_another_notice_is_refused_and_changes_nothing(bench: Bench) -> None:
    with pytest.raises(WrongNoticeError):
        bench.agent.set_consent(granted=True, notice=notice_version() + 1, how="test")
    with pytest.raises(BadConsentError):
        bench.agent.set_consent(granted=True, notice=notice_version(), how="")
    assert not bench.agent.consent().granted
    assert rows(bench.agent, "consent_log") == 0


def test_consent_and_its_proof_survive_a_restart(bench: Bench) -> None:
    bench.consent()
    bench.agent.close()
    agent = bench.start()
    assert agent.consent().granted
    assert proof(agent) == [("granted", notice_version(), to_ms(bench.clock.now()), "test", "en")]


def test_the_proof_holds_the_digest_of_the_words_that_were_shown(bench: Bench) -> None:
    bench.agent.set_consent(granted=True, notice=notice_version(), how="screen", language="nl")
    ((language, told),) = (
        bench.agent._store.connection().execute("SELECT language, notice_sha256 FROM consent_log").fetchall()
    )
    assert (language, told) == ("nl", hashlib.sha256(notice_text("nl").encode()).hexdigest())


def test_a_language_that_the_notice_does_not_have_is_no_proof(bench: Bench) -> None:
    with pytest.raises(BadConsentError):
        bench.agent.set_consent(granted=True, notice=notice_version(), how="screen", language="de")
    assert not bench.agent.consent().granted


def test_a_household_is_reminded_of_its_consent_each_year(bench: Bench) -> None:
    bench.consent()
    given = bench.clock.now()
    assert due(bench) == (given + timedelta(days=365)).isoformat()
    bench.clock.advance(timedelta(days=370))
    bench.agent.reminded("screen", "fr")
    assert due(bench) == (given + timedelta(days=735)).isoformat()
    assert bench.agent.consent().since_ms == to_ms(given), "a reminder is no new beginning"
    assert [act for act, *_ in proof(bench.agent)] == ["granted", "reminded"]


def test_a_consent_that_nobody_was_reminded_of_lapses(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    bench.clock.advance(timedelta(days=400) - timedelta(seconds=1))
    bench.agent.tick()
    watch(bench, minutes=0)
    assert bench.agent.consent().granted
    bench.clock.advance(timedelta(seconds=1))
    bench.agent.tick()
    bench.agent.flush()
    assert not bench.agent.consent().granted
    assert rows(bench.agent, "events") == 0
    assert [act for act, *_ in proof(bench.agent)] == ["granted", "lapsed"]


def test_there_is_no_reminder_without_a_consent(bench: Bench) -> None:
    with pytest.raises(NoConsentError):
        bench.agent.reminded("screen")
    assert due(bench) is None


def test_a_store_put_back_from_before_a_withdrawal_stays_refused(bench: Bench) -> None:
    bench.consent()
    watch(bench)
    bench.agent.close()
    stored = {path: path.read_bytes() for path in state_files(bench)}
    bench.start()
    bench.consent(granted=False)
    bench.agent.close()
    agent = put_back(bench, stored)
    assert not agent.consent().granted
    assert not agent.report(PLAY)
    assert rows(agent, "events") == 0


def test_a_store_put_back_from_before_a_second_yes_keeps_nothing_of_the_refused_interval(
    bench: Bench,
) -> None:
    bench.consent()
    watch(bench)
    bench.agent.close()
    stored = {path: path.read_bytes() for path in state_files(bench)}
    bench.start()
    bench.consent(granted=False)
    bench.clock.advance(timedelta(hours=1))
    bench.consent()
    again = bench.agent.consent().since_ms
    bench.agent.close()
    agent = put_back(bench, stored)
    assert (agent.consent().granted, agent.consent().since_ms) == (True, again)
    assert rows(agent, "events") == 0


def test_a_withdrawal_that_was_cut_short_is_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.consent()
    watch(bench)
    monkeypatch.setattr("box_agent.consent.Consent._drop", lambda _self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.consent(granted=False)
    monkeypatch.undo()
    bench.agent.close()
    agent = bench.start()
    assert not agent.consent().granted
    assert rows(agent, "events") == 0


def test_a_witness_that_cannot_be_read_counts_as_a_refusal(bench: Bench) -> None:
    bench.consent()
    bench.agent.close()
    bench.settings.consent_witness().write_text("garbage")
    assert not bench.start().consent().granted


def test_viewing_is_deleted_by_its_deadline_whatever_got_in_the_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.enrol()
    bench.consent()
    watch(bench)
    bench.agent.flush()
    monkeypatch.setattr("box_agent.outbox.Outbox.run", lambda _self, _now: None)
    for days in range(VIEWING_KEPT_MS // 86_400_000 + 1):
        bench.clock.advance(timedelta(days=1))
        bench.agent.tick()
        assert days > 12 or rows(bench.agent, "events") == 2
    assert rows(bench.agent, "events") == 0


def test_a_repeated_yes_does_not_move_its_beginning(bench: Bench) -> None:
    bench.consent()
    since = bench.agent.consent().since_ms
    bench.clock.advance(timedelta(days=1))
    bench.consent()
    assert bench.agent.consent().since_ms == since


def test_withdrawal_destroys_viewing_tokens_and_queue_at_once(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    watch(bench)
    bench.agent.place_order("film-1", YES)
    bench.run_until(to_ms(W41.end(ZONE)) + 1000)
    assert rows(bench.agent, "outbox") + rows(bench.agent, "wallet") > 0
    bench.agent.report(PLAY)
    bench.consent(granted=False)
    for table in ("viewing", "ordered", "outbox", "wallet", "directories"):
        assert rows(bench.agent, table) == 0
    bench.agent.flush()
    assert rows(bench.agent, "events") == 0, "the buffer is dropped too"
    sealed = len(bench.relay.sealed)
    bench.run_until(to_ms(W41.plus(3).start(ZONE)))
    assert len(bench.relay.sealed) == sealed
    assert rows(bench.agent, "consent_log") == 2


def test_viewing_of_a_refused_interval_is_never_recorded(bench: Bench) -> None:
    bench.clock.advance(timedelta(hours=2))
    bench.consent()
    before = to_ms(bench.clock.now()) - 1
    assert not bench.agent.report(Event(event="play", at_ms=before, item=PLAY.item))
    assert bench.agent.report(Event(event="play", at_ms=before + 1, item=PLAY.item))


def test_a_week_that_consent_does_not_cover_sends_nothing_and_keeps_nothing(bench: Bench) -> None:
    bench.enrol()
    bench.clock.advance(timedelta(seconds=1))
    bench.consent()
    watch(bench)
    bench.run_until(to_ms(W41.end(ZONE)) + 3_600_000)
    # For the week that has begun since, which its consent covers, it may have asked already.
    asked = [ask for ask in bench.headend.asks if ask.week == str(W41)]
    assert (bench.relay.sealed, asked) == ([], [])
    assert rows(bench.agent, "events") == 0
    bench.run_until(to_ms(W41.plus(3).start(ZONE)))
    assert {fragment.week for _, fragment in bench.relay.fragments} == {W41.plus(1)}


def test_opting_out_and_in_again_within_a_week_makes_it_silent(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    watch(bench)
    bench.consent(granted=False)
    bench.clock.advance(timedelta(hours=1))
    bench.consent()
    bench.run_until(to_ms(W41.closes(ZONE)) - 1)
    assert {fragment.week for _, fragment in bench.relay.fragments} == set()


def test_a_new_notice_makes_the_box_silent_until_it_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.consent()
    watch(bench)
    bench.agent.flush()
    monkeypatch.setattr("box_agent.consent.notice_version", lambda: 99)
    assert not bench.agent.report(PLAY)
    bench.agent.tick()
    assert rows(bench.agent, "events") == 0, "what was recorded under the old notice is gone"
    assert proof(bench.agent)[-1][0] == "lapsed"


def test_an_event_of_the_future_is_refused(bench: Bench) -> None:
    bench.consent()
    with pytest.raises(BadEventError):
        bench.agent.report(Event(event="key", at_ms=to_ms(bench.clock.now()) + 3_600_000))


def test_a_yes_that_the_disk_does_not_take_is_none_and_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("box_agent.consent.Witness.write", full)
        with pytest.raises(StoreError, match="could not be made durable"):
            bench.consent()
    assert not bench.agent.consent().granted
    assert proof(bench.agent) == []
    bench.start()
    assert not bench.agent.consent().granted
    bench.consent()
    assert bench.agent.consent().granted


def test_a_refusal_that_the_disk_does_not_take_is_in_force_and_made_durable_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.enrol()
    bench.consent()
    watch(bench)
    bench.agent.flush()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("box_agent.consent.Witness.write", full)
        with pytest.raises(StoreError, match="in force, but not durable"):
            bench.consent(granted=False)
        assert not bench.agent.consent().granted
        assert not bench.agent.report(PLAY)
        with pytest.raises(StoreError):
            bench.agent.tick()
    bench.agent.tick()
    assert rows(bench.agent, "events") == 0
    assert proof(bench.agent)[-1][0] == "withdrawn"
    bench.start()
    assert not bench.agent.consent().granted


# --- a clock that is set after the yes


DAY_MS = 86_400_000


@pytest.fixture
def late(tmp_path: Path) -> Bench:
    """A box whose household refused from Monday on and said yes on Friday, by a clock five days behind."""
    bench = Bench(tmp_path, TwoClocks(START))
    bench.enrol()
    bench.consent()
    bench.consent(granted=False)
    bench.clock.advance(timedelta(days=4))
    bench.clock.jump(-5 * DAY_MS)
    bench.start()
    bench.consent()
    bench.clock.advance(timedelta(seconds=30))
    return bench


def test_a_yes_moves_with_the_clock_that_it_was_given_by(late: Bench) -> None:
    late.clock.jump(5 * DAY_MS)
    yes = to_ms(START) + 4 * DAY_MS
    late.agent.tick()
    assert late.agent.consent().since_ms == yes
    assert not late.agent._consent.covers(to_ms(W41.start(ZONE)))
    assert [one["act"] for one in late.agent._consent.proof()][-2:] == ["granted", "moved"]
    late.start()
    assert late.agent.consent().since_ms == yes


def test_what_a_player_tells_late_of_a_refused_interval_is_not_kept_though_the_clock_was_behind(
    late: Bench,
) -> None:
    refused = to_ms(START) + 2 * DAY_MS
    late.clock.jump(5 * DAY_MS)
    assert not late.agent.report(Event(event="play", at_ms=refused, item=PLAY.item))
    late.run_until(to_ms(W41.closes(ZONE)) - 1)
    assert [fragment for _, fragment in late.relay.fragments if fragment.week == W41] == []


def test_a_clock_that_is_set_back_moves_no_yes_behind_the_moment_when_that_is_seen(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TwoClocks(START + timedelta(days=1000)))
    bench.consent()
    bench.clock.jump(-1000 * DAY_MS)
    bench.clock.advance(timedelta(minutes=2))
    bench.agent.tick()
    assert bench.agent.consent().since_ms == to_ms(START) + 120_000
    bench.clock.jump(1000 * DAY_MS)
    bench.agent.tick()
    assert bench.agent.consent().since_ms == to_ms(START) + 1000 * DAY_MS + 120_000


def test_a_clock_that_is_corrected_by_less_than_a_minute_moves_no_yes(late: Bench) -> None:
    since = late.agent.consent().since_ms
    late.clock.jump(59_000)
    late.agent.tick()
    assert late.agent.consent().since_ms == since


@pytest.mark.parametrize(("boot", "moved"), [("one", True), ("another", False), ("", False)])
def test_a_yes_moves_after_a_restart_of_the_agent_and_not_after_one_of_the_box(
    tmp_path: Path, boot: str, *, moved: bool
) -> None:
    clock = TwoClocks(START)
    core = Core(tmp_path, tmp_path / "witness", clock, "one" if boot else "")
    core.consent.follow(clock.now(), clock.monotonic())
    core.consent.grant(notice_version(), Shown("test"), clock.now())
    core.store.park()
    core = Core(tmp_path, tmp_path / "witness", clock, boot)
    clock.jump(DAY_MS)
    core.consent.follow(clock.now(), clock.monotonic())
    assert (core.consent.answer.since_ms == to_ms(START) + DAY_MS) == moved
    assert moved or core.consent.answer.since_ms == to_ms(START)


def test_a_moved_yes_that_the_disk_does_not_take_is_in_force_and_seen_again(
    late: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("full")

    late.clock.jump(5 * DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr("box_agent.consent.Consent._record", full)
        late.agent.tick()
    assert late.agent.consent().since_ms == to_ms(START) + 4 * DAY_MS
    late.agent.tick()
    assert late.agent.consent().since_ms == to_ms(START) + 4 * DAY_MS


def test_a_withdrawal_overwrites_what_it_destroys(bench: Bench) -> None:
    bench.enrol()
    bench.consent()
    watch(bench)
    bench.run_until(to_ms(W41.end(ZONE)) + 1000)
    connection = bench.agent._store.connection()
    tokens = [token for (token,) in connection.execute("SELECT token FROM outbox")]
    assert tokens
    bench.consent(granted=False)
    path = Path(bench.agent._store.path)
    held = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    assert not any(token in held for token in tokens)
