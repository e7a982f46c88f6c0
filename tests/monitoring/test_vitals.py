"""What the daemon tells of itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import freezegun
import pytest

from lifecycle_jobs.errors import EmergencyStop, LeaseHeld, StopRequested
from lifecycle_jobs.monitoring import Vitals
from lifecycle_jobs.monitoring.vitals import Duty

NOW = datetime(2027, 3, 24, 3, tzinfo=UTC)


@pytest.fixture
def vitals() -> Vitals:
    return Vitals()


def test_a_daemon_stands_by_until_it_is_told_to_work(vitals: Vitals) -> None:
    roles = [vitals.role]

    vitals.become("leader")

    assert [*roles, vitals.role] == ["standby", "leader"]


def test_a_duty_that_ended_well_says_when(vitals: Vitals) -> None:
    with freezegun.freeze_time(NOW), vitals.at("deliver"):
        pass

    assert vitals.duties == {"deliver": Duty(began_at=NOW, ended_well_at=NOW)}


def test_a_duty_under_way_says_for_how_long(vitals: Vitals) -> None:
    with vitals.at("day"):
        time.sleep(0.02)
        seconds = vitals.duties["day"].seconds

    assert seconds is not None
    assert seconds >= 0.02
    assert vitals.duties["day"].seconds is None


def test_a_duty_that_failed_names_the_error_and_nothing_that_it_says(vitals: Vitals) -> None:
    with pytest.raises(ValueError, match="mario"), vitals.at("deliver"):
        raise ValueError("mario.rossi@pec.example.it")

    assert vitals.duties["deliver"].error == "ValueError"


def test_once_it_goes_well_again_its_error_is_forgotten(vitals: Vitals) -> None:
    with pytest.raises(ValueError, match="once"), vitals.at("deliver"):
        raise ValueError("once")
    with vitals.at("deliver"):
        pass

    assert vitals.duties["deliver"].error is None


@pytest.mark.parametrize("reason", [StopRequested, EmergencyStop, LeaseHeld])
def test_being_stopped_or_finding_another_at_work_is_no_failure_and_no_success(
    vitals: Vitals, reason: type[Exception]
) -> None:
    with pytest.raises(reason), vitals.at("deliver"):
        raise reason("not now")

    duty = vitals.duties["deliver"]
    assert (duty.error, duty.ended_well_at, duty.seconds) == (None, None, None)


def test_a_scheduler_that_stands_still_makes_the_daemon_ill_until_it_ticks(vitals: Vitals) -> None:
    time.sleep(0.05)
    assert vitals.troubles(0.04) == ["the scheduler has not ticked for 0 s"]

    vitals.tick()

    assert vitals.troubles(0.04) == []


def test_a_duty_that_takes_hours_or_fails_leaves_it_healthy(vitals: Vitals) -> None:
    with pytest.raises(ValueError, match="no"), vitals.at("deliver"):
        raise ValueError("no")
    with vitals.at("day"):
        assert vitals.troubles(60) == []
