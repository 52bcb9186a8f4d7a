"""Running sums beside the books, kept by triggers in the transaction that changes what they add up.

They answer at once what would take a walk over all orders or entries; `headend.billing.reconcile` recounts
and says whether they agree. The indexes are those of the console's lists: each list has one that gives its
rows in order, so that a page costs its own rows and no others. What an index ends in, unsaid, is the row's
own number, which counts as rows arrive.
"""

from typing import Final

TABLES: Final = """
CREATE TABLE order_sums (
    month TEXT NOT NULL, state TEXT NOT NULL, display TEXT NOT NULL, orders INTEGER NOT NULL,
    payable INTEGER NOT NULL, credited INTEGER NOT NULL, PRIMARY KEY (month, state, display)
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_sums (
    id INTEGER PRIMARY KEY CHECK (id = 1), unbilled INTEGER NOT NULL, usage INTEGER NOT NULL,
    receivable INTEGER NOT NULL, revenue INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL
) STRICT;
CREATE TABLE batch_sums (
    batch INTEGER PRIMARY KEY REFERENCES batches (batch), unbilled INTEGER NOT NULL, usage INTEGER NOT NULL,
    receivable INTEGER NOT NULL, revenue INTEGER NOT NULL, vat INTEGER NOT NULL, rounding INTEGER NOT NULL
) STRICT;
CREATE TABLE verifications (
    verification INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batches (batch),
    at_ms INTEGER NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TABLE sightings (
    box TEXT PRIMARY KEY REFERENCES boxes (box), bound INTEGER NOT NULL, heard_ms INTEGER NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER orders_added AFTER INSERT ON orders BEGIN
    INSERT INTO order_sums (month, state, display, orders, payable, credited)
    VALUES (NEW.month, NEW.state, NEW.display, 1, NEW.price_cents - NEW.credit_cents, NEW.credited_cents)
    ON CONFLICT (month, state, display) DO UPDATE SET orders = orders + 1,
    payable = payable + excluded.payable, credited = credited + excluded.credited;
END;
CREATE TRIGGER orders_moved AFTER UPDATE OF month, state, display, price_cents, credit_cents, credited_cents
ON orders BEGIN
    UPDATE order_sums SET orders = orders - 1, payable = payable - OLD.price_cents + OLD.credit_cents,
    credited = credited - OLD.credited_cents
    WHERE month = OLD.month AND state = OLD.state AND display = OLD.display;
    INSERT INTO order_sums (month, state, display, orders, payable, credited)
    VALUES (NEW.month, NEW.state, NEW.display, 1, NEW.price_cents - NEW.credit_cents, NEW.credited_cents)
    ON CONFLICT (month, state, display) DO UPDATE SET orders = orders + 1,
    payable = payable + excluded.payable, credited = credited + excluded.credited;
END;
CREATE TRIGGER orders_removed AFTER DELETE ON orders BEGIN
    UPDATE order_sums SET orders = orders - 1, payable = payable - OLD.price_cents + OLD.credit_cents,
    credited = credited - OLD.credited_cents
    WHERE month = OLD.month AND state = OLD.state AND display = OLD.display;
END;
CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN
    UPDATE ledger_sums SET unbilled = unbilled + NEW.unbilled, usage = usage + NEW.usage,
    receivable = receivable + NEW.receivable, revenue = revenue + NEW.revenue, vat = vat + NEW.vat,
    rounding = rounding + NEW.rounding;
END;
CREATE TRIGGER boxes_enrolled AFTER INSERT ON boxes BEGIN
    INSERT INTO sightings (box, bound, heard_ms, agent)
    VALUES (NEW.box, NEW.released_ms IS NULL, NEW.enrolled_ms, '');
END;
CREATE TRIGGER boxes_bound AFTER UPDATE OF released_ms ON boxes BEGIN
    UPDATE sightings SET bound = NEW.released_ms IS NULL WHERE box = NEW.box;
END;
"""

FILL: Final = """
INSERT INTO order_sums (month, state, display, orders, payable, credited)
SELECT month, state, display, count(*), sum(price_cents - credit_cents), sum(credited_cents)
FROM orders GROUP BY month, state, display;
INSERT INTO ledger_sums (id, unbilled, usage, receivable, revenue, vat, rounding)
SELECT 1, coalesce(sum(unbilled), 0), coalesce(sum(usage), 0), coalesce(sum(receivable), 0),
coalesce(sum(revenue), 0), coalesce(sum(vat), 0), coalesce(sum(rounding), 0) FROM entries;
INSERT INTO batch_sums (batch, unbilled, usage, receivable, revenue, vat, rounding)
SELECT batch, sum(unbilled), sum(usage), sum(receivable), sum(revenue), sum(vat), sum(rounding)
FROM batches JOIN entries ON entry BETWEEN first_entry AND last_entry GROUP BY batch;
INSERT INTO sightings (box, bound, heard_ms, agent)
SELECT box, released_ms IS NULL, max(enrolled_ms, coalesce((SELECT max(told_ms) FROM epochs
WHERE epochs.box = boxes.box), 0)), '' FROM boxes;
"""

AGENTS: Final = """
CREATE TABLE agent_sums (agent TEXT PRIMARY KEY, boxes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO agent_sums (agent, boxes) SELECT agent, count(*) FROM sightings WHERE bound = 1 GROUP BY agent;
CREATE TRIGGER sightings_added AFTER INSERT ON sightings BEGIN
    INSERT INTO agent_sums (agent, boxes) VALUES (NEW.agent, NEW.bound)
    ON CONFLICT (agent) DO UPDATE SET boxes = boxes + excluded.boxes;
END;
CREATE TRIGGER sightings_moved AFTER UPDATE OF bound, agent ON sightings
WHEN OLD.bound <> NEW.bound OR OLD.agent <> NEW.agent BEGIN
    UPDATE agent_sums SET boxes = boxes - OLD.bound WHERE agent = OLD.agent;
    INSERT INTO agent_sums (agent, boxes) VALUES (NEW.agent, NEW.bound)
    ON CONFLICT (agent) DO UPDATE SET boxes = boxes + excluded.boxes;
END;
CREATE TRIGGER sightings_removed AFTER DELETE ON sightings BEGIN
    UPDATE agent_sums SET boxes = boxes - OLD.bound WHERE agent = OLD.agent;
END;
"""
"""How many bound boxes run which software; a sign of life that says nothing new changes nothing of it."""

LIGHTER: Final = """
DROP INDEX sightings_by_time;
DROP INDEX sightings_by_agent;
CREATE INDEX sightings_by_time ON sightings (bound, heard_ms, box, agent);
CREATE INDEX sightings_by_agent ON sightings (bound, agent);
"""
"""A sign of life moves one index instead of two."""

INDEXES: Final = """
DROP INDEX orders_by_state;
CREATE INDEX orders_by_cell ON orders (month, state, display);
CREATE INDEX orders_by_receipt ON orders (received_ms);
CREATE INDEX orders_waiting ON orders (reason, received_ms, price_cents, credit_cents)
WHERE state = 'suspended';
CREATE INDEX invoices_by_month ON invoices (month, kind);
CREATE INDEX invoices_by_kind ON invoices (kind);
CREATE INDEX disputes_by_deadline ON disputes (state, deadline_ms);
CREATE INDEX disputes_by_bill ON disputes (number);
CREATE INDEX alarms_by_kind ON alarms (kind);
CREATE INDEX alarms_by_time ON alarms (raised_ms);
CREATE INDEX alarms_of_box ON alarms (box);
CREATE INDEX alarms_of_account ON alarms (account);
CREATE INDEX sightings_by_time ON sightings (bound, heard_ms);
CREATE INDEX sightings_by_agent ON sightings (bound, agent, heard_ms);
CREATE INDEX verifications_by_batch ON verifications (batch);
"""
