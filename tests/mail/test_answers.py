from __future__ import annotations

import pytest

from lifecycle_jobs.mail.answers import queue_id, reply_code


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("250 2.0.0 Ok: queued as 4F1B2C3D9E", "4F1B2C3D9E"),
        ("250 2.0.0 Ok: queued as 4XyZ12345Yz9qR", "4XyZ12345Yz9qR"),
        ("250 OK id=1rABCD-0001Ab-2C", "1rABCD-0001Ab-2C"),
        ("250 2.0.0 43KLmNop012345 Message accepted for delivery", "43KLmNop012345"),
        (
            "250 2.6.0 <x@y.it> [InternalId=83571234567, Hostname=mx.example.it] 1234 bytes Queued mail for delivery",
            "83571234567",
        ),
        ("250 ok 1799999999 qp 4711", "4711"),
        ("250 2.0.0 Queued", None),
        ("250 OK", None),
        ("2027-03-24/2027-03-24-box.expiry_alert-c1-0e044a33.eml", None),
        ("250 Ok: queued as " + "A" * 500, "A" * 100),
    ],
)
def test_the_number_under_which_a_server_took_a_message_is_read_from_its_answer(
    answer: str, number: str | None
) -> None:
    assert queue_id(answer) == number


@pytest.mark.parametrize(
    ("answer", "code"),
    [("250 OK", 250), ("250", 250), ("251-will forward", 251), ("2027-03-24/file.eml", None), ("rehearsed", None)],
)
def test_the_code_is_what_an_smtp_answer_begins_with(answer: str, code: int | None) -> None:
    assert reply_code(answer) == code
