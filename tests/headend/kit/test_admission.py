from contextlib import ExitStack

import pytest

from headend.kit.admission import WEIGHED_BYTES, Admission, BusyError, Urgency

BOUNDS = {Urgency.READS: 1, Urgency.TOKENS: 2, Urgency.FRAGMENTS: 3, Urgency.ORDERS: 4}


def refused(admission, urgency, size=0):
    try:
        with admission.admitted(urgency, size):
            return False
    except BusyError:
        return True


def test_the_more_is_in_flight_the_more_urgent_must_be_what_is_let_in():
    admission, shed = Admission(BOUNDS), []
    with ExitStack() as flying:
        for _ in range(4):
            shed.append([one.name for one in Urgency if refused(admission, one)])
            flying.enter_context(admission.admitted(Urgency.ORDERS))
        shed.append([one.name for one in Urgency if refused(admission, one)])
    assert shed == [
        [],
        ["READS"],
        ["READS", "TOKENS"],
        ["READS", "TOKENS", "FRAGMENTS"],
        ["READS", "TOKENS", "FRAGMENTS", "ORDERS"],
    ]


def test_what_ends_makes_room_also_when_it_fails():
    admission = Admission(BOUNDS)
    with pytest.raises(ZeroDivisionError), admission.admitted(Urgency.READS):
        1 / 0  # noqa: B018
    assert admission.in_flight() == 0
    assert not refused(admission, Urgency.READS)


def test_a_large_body_weighs_as_much_as_the_requests_it_stands_for():
    admission = Admission(BOUNDS)
    with admission.admitted(Urgency.ORDERS, 3 * WEIGHED_BYTES):
        assert admission.in_flight() == 4
        assert refused(admission, Urgency.ORDERS)
    assert admission.in_flight() == 0


def test_each_refusal_is_counted_by_its_urgency():
    admission = Admission(BOUNDS)
    with admission.admitted(Urgency.READS):
        assert refused(admission, Urgency.READS)
        assert refused(admission, Urgency.READS)
        told = admission.samples()
    assert ("headend_shed_total", {"urgency": "reads"}, 2) in told
    assert ("headend_shed_total", {"urgency": "orders"}, 0) in told
    assert ("headend_requests_in_flight", {}, 1) in told
