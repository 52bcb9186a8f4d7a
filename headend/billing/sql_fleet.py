"""The fleet in SQL; see headend.billing.fleet for what each method means."""

from dataclasses import fields, replace
from typing import Any

from headend.billing.fleet import ChosenBoxes, Said, Sighting
from headend.billing.rows import Alarm, ChainEnd, NotFoundError, OrderRow, OrderState
from headend.billing.sql_books import SqlTx, columns
from headend.billing.sql_lists import NEWEST

_SIGHTING = (
    "SELECT box, serial, account, epoch, enrolled_ms, bound, heard_ms, agent FROM sightings {0} "
    "JOIN boxes USING (box)"
)
FEW = 10_000
"""Boxes of one software that are sorted for a page of them: some 20 ms."""
_ALARM = columns(Alarm)
_ORDER = ", ".join(f"orders.{field.name}" for field in fields(OrderRow))


class SqlFleetTx(SqlTx):
    """`FleetTx` over one connection."""

    def heard_since(self, from_ms: int) -> int:
        sql = "SELECT count(*) FROM sightings INDEXED BY sightings_by_time WHERE bound = 1 AND heard_ms >= ?"
        return self._one(int, sql, from_ms) or 0

    def silent_since(self, from_ms: int) -> int:
        sql = "SELECT count(*) FROM sightings INDEXED BY sightings_by_time WHERE bound = 1 AND heard_ms < ?"
        return self._one(int, sql, from_ms) or 0

    def bound_boxes(self) -> int:
        return self._one(int, "SELECT coalesce(sum(boxes), 0) FROM agent_sums") or 0

    def agents(self) -> list[tuple[str, int]]:
        sql = (
            "SELECT agent, sum(boxes) FROM agent_sums GROUP BY agent HAVING sum(boxes) > 0 "
            "ORDER BY sum(boxes) DESC, agent"
        )
        return list(self._all(lambda agent, n: (agent, int(n)), sql))

    def recount_agents(self) -> list[tuple[str, int]]:
        sql = (
            "SELECT agent, count(*) FROM sightings INDEXED BY sightings_by_agent WHERE bound = 1 "
            "GROUP BY agent ORDER BY count(*) DESC, agent"
        )
        return list(self._all(lambda agent, n: (agent, n), sql))

    def sighting(self, box: str) -> Sighting | None:
        return self._one(_sighting, _SIGHTING.format("") + " WHERE box = ?", box)

    def boxes_page(self, chosen: ChosenBoxes, before: tuple[int, str] | None, limit: int) -> list[Sighting]:
        by, version, asked = "INDEXED BY sightings_by_time", "", list[object]([chosen.bound])
        if chosen.agent is not None:
            by = f"INDEXED BY {self._index_of(chosen.bound, chosen.agent)}"
            version, asked = " AND agent = ?", [chosen.bound, chosen.agent]
        place = before or (NEWEST, "")
        sql = (
            f"{_SIGHTING.format(by)} WHERE bound = ?{version} AND heard_ms >= ? AND heard_ms < ? "
            "AND (heard_ms, box) < (?, ?) ORDER BY heard_ms DESC, box DESC LIMIT ?"
        )
        return list(self._all(_sighting, sql, *asked, chosen.from_ms, chosen.until_ms, *place, limit))

    def _index_of(self, bound: object, agent: str) -> str:
        """Few boxes are sorted; many are met often enough among all, newest first.

        An index of both would have to be moved by each sign of life, and be searched once in a while.
        """
        sql = (
            "SELECT count(*) FROM (SELECT 1 FROM sightings INDEXED BY sightings_by_agent "
            "WHERE bound = ? AND agent = ? LIMIT ?) AS few"
        )
        few = (self._one(int, sql, bound, agent, FEW + 1) or 0) <= FEW
        return "sightings_by_agent" if few else "sightings_by_time"

    def epochs_of(self, box: str) -> list[ChainEnd]:
        sql = f"SELECT {columns(ChainEnd)} FROM epochs WHERE box = ? ORDER BY epoch DESC"
        return list(self._all(ChainEnd, sql, box))

    def said_page(self, box: str, before: tuple[int, int] | None, limit: int) -> list[Said]:
        sql = (
            "SELECT chain.epoch, chain.seq, chain.kind, chain.received_ms, envelope IS NOT NULL, "
            f"{_ORDER} FROM chain LEFT JOIN orders USING (box, epoch, seq) WHERE chain.box = ? "
            "AND (chain.epoch, chain.seq) < (?, ?) ORDER BY chain.epoch DESC, chain.seq DESC LIMIT ?"
        )
        return list(self._all(_said, sql, box, *(before or (NEWEST, 0)), limit))

    def alarm_kinds(self) -> list[tuple[str, int]]:
        sql = "SELECT kind, count(*) FROM alarms INDEXED BY alarms_by_kind GROUP BY kind ORDER BY kind"
        return list(self._all(lambda kind, n: (kind, n), sql))

    def alarms_since(self, from_ms: int) -> int:
        return self._one(int, "SELECT count(*) FROM alarms WHERE raised_ms >= ?", from_ms) or 0

    def alarms_page(self, kind: str, before: int | None, limit: int) -> list[tuple[int, Alarm]]:
        by, where, asked = ("INDEXED BY alarms_by_kind", "kind = ? AND ", (kind,)) if kind else ("", "", ())
        sql = f"SELECT alarm, {_ALARM} FROM alarms {by} WHERE {where}alarm < ? ORDER BY alarm DESC LIMIT ?"
        return list(self._all(_alarm, sql, *asked, NEWEST if before is None else before, limit))

    def alarms_about(self, what: str, name: str, limit: int) -> list[tuple[int, Alarm]]:
        if what not in {"box", "account"}:
            raise NotFoundError(f"no alarms about a {what}")
        sql = (
            f"SELECT alarm, {_ALARM} FROM alarms INDEXED BY alarms_of_{what} WHERE {what} = ? "
            "ORDER BY alarm DESC LIMIT ?"
        )
        return list(self._all(_alarm, sql, name, limit))


def _sighting(*row: Any) -> Sighting:  # noqa: ANN401 (columns of the driver)
    box, serial, account, epoch, enrolled_ms, bound, heard_ms, agent = row
    return Sighting(box, serial, account, epoch, enrolled_ms, bool(bound), heard_ms, agent)


def _said(epoch: int, seq: int, kind: str, received_ms: int, *rest: Any) -> Said:  # noqa: ANN401 (columns)
    signed, *row = rest
    order = None if row[0] is None else replace(OrderRow(*row), state=OrderState(row[4]))
    return Said(epoch, seq, kind, received_ms, bool(signed), order)


def _alarm(number: int, *row: Any) -> tuple[int, Alarm]:  # noqa: ANN401 (columns of the driver)
    return number, Alarm(*row)
