"""The readable page of a subscriber's archive: tables in the account's language, no script, no links out."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from headend.billing.messages import readable
from headend.billing.rating import FOREVER_MS
from headend.billing.rows import Account
from headend.billing.wording import Words, words_of
from shared import dsse
from shared.field_register import declared
from shared.named import Order

Row = dict[str, object]
Records = dict[str, list[Row]]

_PAGES = Environment(
    loader=PackageLoader("headend.billing"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_REQUESTS = ("titles erased on request", "account records given")


@dataclass(frozen=True)
class Facts:
    """What the page says beside the rows: whose it is, when it was made, the periods, the files beside it."""

    account: Account
    now_ms: int
    dispute_days: int
    tax_years: int
    files: frozenset[str]


class Cell(NamedTuple):
    """One cell: a text, a quieter note under it, and a file of the archive that it points to."""

    text: str
    note: str = ""
    href: str = ""


class Section(NamedTuple):
    """One table of the page; `numbers` are the columns set flush right."""

    name: str
    title: str
    note: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    numbers: tuple[int, ...] = ()


def page(records: Records, facts: Facts) -> str:
    """The whole page, self-contained."""
    words = words_of(facts.account.language)
    sections = _Sections(records, facts, words)
    return _PAGES.get_template("billing/archive.html").render(
        words=words,
        said=words.page,
        facts=facts,
        made=words.moment(facts.now_ms, facts.account.zone),
        you=sections.you(),
        counts=sections.counts(),
        sections=list(sections.all()),
        authority=words.authorities.get(facts.account.country, ""),
    )


class _Sections:
    """The rows of the archive as a person reads them."""

    def __init__(self, records: Records, facts: Facts, words: Words) -> None:
        self._records = records
        self._facts = facts
        self._words = words
        self._said = words.page

    def all(self) -> Iterator[Section]:
        """Every table, in the order in which they are read."""
        makers: tuple[Callable[[], Section], ...] = (
            self._boxes,
            self._orders,
            self._bills,
            self._disputes,
            self._alarms,
            self._weeks,
            self._requests,
            self._audit,
            self._kept,
        )
        for make in makers:
            yield make()

    def you(self) -> list[tuple[str, str]]:
        """Who the subscriber is to billing."""
        said, account, words = self._said, self._facts.account, self._words
        limit = account.spending_limit_cents
        return [
            (said["account"], account.account),
            (said["country"], words.countries.get(account.country, account.country)),
            (said["postal_area"], account.postal_area or said["none"]),
            (said["language"], words.name),
            (said["zone"], account.zone),
            (said["limit"], said["none"] if limit is None else words.amount(limit, "EUR")),
            (said["since"], self._day(account.created_ms)),
        ]

    def counts(self) -> list[tuple[str, int]]:
        """What there is most of."""
        names = ("boxes", "orders", "invoices")
        titles = (self._said["boxes"], self._said["orders"], self._said["bills"])
        return [(title, len(self._records[name])) for name, title in zip(names, titles, strict=True)]

    def _section(
        self, name: str, heads: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], **more: str
    ) -> Section:
        said = self._said
        return Section(
            name=name,
            title=said[name],
            note=more.get("note", said.get(f"{name}_note", "")),
            heads=tuple(said[head] for head in heads),
            rows=rows,
            numbers=tuple(
                place for place, head in enumerate(heads) if head in {"price", "net", "vat", "total"}
            ),
        )

    def _boxes(self) -> Section:
        serials = {row["box"]: str(row["serial"]) for row in self._records["boxes"]}
        theirs, rows = self._facts.account.account, []
        turns = sorted(self._records["bindings"], key=lambda row: (str(row["box"]), _whole(row["turn"])))
        for turn in turns:
            if turn["account"] != theirs:
                continue
            ends = [
                one
                for one in turns
                if one["box"] == turn["box"] and _whole(one["turn"]) == _whole(turn["turn"]) + 1
            ]
            until = self._day(ends[0]["from_ms"]) if ends else self._said["now"]
            box = Cell(str(turn["box"]))
            rows.append((box, Cell(serials[turn["box"]]), Cell(self._day(turn["from_ms"])), Cell(until)))
        return self._section("boxes", ("box", "serial", "since", "until"), rows)

    def _orders(self) -> Section:
        annexes = {_place(row): row for row in self._records["annex"]}
        signed = {_place(row): row["envelope"] for row in self._records["chain"]}
        orders = sorted(self._records["orders"], key=lambda row: (_whole(row["effective_ms"]), _place(row)))
        rows = [
            self._order(row, annexes.get(_place(row)), signed.get(_place(row))) for row in reversed(orders)
        ]
        return self._section("orders", ("when", "what", "price", "state", "bill", "evidence"), rows)

    def _order(self, row: Row, annex: Row | None, envelope: object) -> tuple[Cell, ...]:
        words, said = self._words, self._said
        credit, currency = _whole(row["credit_cents"]), str(row["currency"]) or "EUR"
        kind = words.display.get(str(row["display"]), str(row["display"]))
        off = f"{said['promotion']} {words.amount(-credit, currency)}" if credit else ""
        return (
            Cell(self._moment(row["effective_ms"]), _ref(row)),
            Cell(kind) if annex is None else Cell(str(annex["title"]), self._window(row, annex) or kind),
            Cell(words.amount(_whole(row["price_cents"]) - credit, currency), off),
            Cell(words.states[str(row["state"])], words.reason(str(row["reason"]))),
            self._bill_cell(row["invoice"]),
            self._evidence(row, envelope),
        )

    def _window(self, row: Row, annex: Row) -> str:
        until = _whole(annex["window_until_ms"])
        if row["state"] not in {"rated", "billed"} or until <= self._facts.now_ms:
            return ""
        if until >= FOREVER_MS:
            return self._said["for_ever"]
        return self._said["watchable"].format(moment=self._moment(until))

    def _evidence(self, row: Row, envelope: object) -> Cell:
        if not isinstance(envelope, bytes):
            return Cell(self._said["not_kept"])
        message = readable(dsse.read(envelope).unverified_payload)
        href = f"envelopes/{_ref(row)}.json"
        if not isinstance(message, Order):
            return Cell(self._words.reasons["unreadable"], href=href)
        said, evidence = self._said, message.evidence
        given = (
            (evidence.pin_verified, said["pin"]),
            (evidence.consent_immediate_supply, said["supply"]),
            (evidence.confirmation_shown, said["confirmation"]),
        )
        return Cell(", ".join(text for holds, text in given if holds) or said["none"], href=href)

    def _bill_cell(self, number: object) -> Cell:
        if number is None:
            return Cell("")
        page = next(
            (
                f"bills/{number}.{kind}"
                for kind in ("pdf", "xml")
                if f"bills/{number}.{kind}" in self._facts.files
            ),
            "",
        )
        return Cell(str(number), href=page)

    def _bills(self) -> Section:
        words, rows = self._words, []
        for row in sorted(self._records["invoices"], key=lambda row: _whole(row["issued_ms"]), reverse=True):
            currency = str(row["currency"])
            corrected = row["refers_to"]
            note = self._said["corrects"].format(number=corrected) if corrected else ""
            net, vat, gross, rest = (_whole(row[name]) for name in ("net", "vat", "gross", "rounding"))
            rounded = f"{self._said['rounding']} {words.amount(rest, currency)}" if rest else ""
            what = Cell(words.documents[str(row["kind"])], note)
            rows.append(
                (
                    self._bill_cell(row["number"]),
                    what,
                    Cell(self._day(row["issued_ms"])),
                    Cell(str(row["month"])),
                    Cell(words.amount(net, currency)),
                    Cell(words.amount(vat, currency)),
                    Cell(words.amount(gross, currency), rounded),
                )
            )
        return self._section("bills", ("number", "what", "when", "month", "net", "vat", "total"), rows)

    def _disputes(self) -> Section:
        rows = [
            (
                Cell(self._day(row["opened_ms"])),
                Cell(str(row["order_ref"]), str(row["number"])),
                Cell(str(row["why"])),
                Cell(self._words.disputes[str(row["state"])]),
                Cell(self._day(_whole(row["deadline_ms"]) - 1)),
                Cell(
                    "" if row["decided_ms"] is None else self._day(row["decided_ms"]), str(row["note"] or "")
                ),
            )
            for row in self._records["disputes"]
        ]
        return self._section("disputes", ("when", "about", "words", "state", "deadline", "decided"), rows)

    def _alarms(self) -> Section:
        rows = [
            (
                Cell(self._moment(row["raised_ms"])),
                Cell(self._words.alarms.get(str(row["kind"]), str(row["kind"]))),
                Cell(str(row["box"])),
                Cell(str(row["detail"])),
            )
            for row in self._records["alarms"]
        ]
        return self._section("alarms", ("when", "what", "box", "detail"), rows)

    def _weeks(self) -> Section:
        rights = Counter(str(row["week"]) for row in self._records["grants"])
        rows = [
            (Cell(str(row["week"])), Cell(str(row["box"])), Cell(str(rights[str(row["week"])])))
            for row in self._records["reporting"]
        ]
        return self._section("weeks", ("week", "box", "rights"), rows)

    def _requests(self) -> Section:
        return self._lines("requests", lambda what: what in _REQUESTS)

    def _audit(self) -> Section:
        return self._lines("audit", lambda what: what not in _REQUESTS)

    def _lines(self, name: str, chosen: Callable[[str], bool]) -> Section:
        rows = [
            (
                Cell(self._moment(row["at_ms"])),
                Cell(self._words.audit.get(str(row["what"]), str(row["what"]))),
                Cell(str(row["who"])),
                Cell(str(row["ref"]), str(row["detail"])),
            )
            for row in self._records["audit"]
            if chosen(str(row["what"]))
        ]
        return self._section(name, ("when", "what", "who", "about"), rows)

    def _kept(self) -> Section:
        facts, words, register = self._facts, self._words, declared("billing")
        rows = []
        for table in self._records:
            entry, named = register[table], words.tables[table]
            seen = ", ".join(words.recipients.get(one, one) for one in entry.recipients)
            period = words.kept.get(entry.retention, entry.retention)
            ground = words.basis.get(entry.basis, entry.basis)
            rows.append(
                (Cell(named.name, table), Cell(named.purpose), Cell(ground), Cell(period), Cell(seen))
            )
        note = self._said["kept_note"].format(days=facts.dispute_days, years=facts.tax_years)
        return self._section("kept", ("where", "purpose", "ground", "period", "seen_by"), rows, note=note)

    def _day(self, at_ms: object) -> str:
        return self._words.day(_whole(at_ms), self._facts.account.zone)

    def _moment(self, at_ms: object) -> str:
        return self._words.moment(_whole(at_ms), self._facts.account.zone)


def _whole(value: object) -> int:
    return msgspec.convert(value, int)


def _place(row: Row) -> tuple[str, int, int]:
    return str(row["box"]), _whole(row["epoch"]), _whole(row["seq"])


def _ref(row: Row) -> str:
    return f"{row['box']}/{row['epoch']}/{row['seq']}"
