"""What is unusual, in a sentence for an operator."""

from __future__ import annotations

from lifecycle_jobs.watching.noticing import DECLINED, MOVED, UNDELIVERED, Unusual


def told(unusual: Unusual) -> str:
    """The number, what is usual, and where to look."""
    if unusual.what == MOVED:
        return (
            f"The import of {unusual.on} moves the expiry of {unusual.number:,} of {unusual.out_of:,} boxes. If that "
            "is not meant, import the right dates with --overwrite before the next run (lifecycle-jobs stop holds it)."
        )
    if unusual.what == DECLINED:
        return f"{unusual.number:,} of {unusual.out_of:,} charges were declined, usually {about(unusual)} of as many."
    if unusual.what == UNDELIVERED:
        return (
            f"{unusual.number:,} e-mails of {unusual.on} were refused for good, usually {about(unusual)}. "
            "See which, and why: lifecycle-jobs status"
        )
    stopped = " Stopped: nothing was done." if unusual.stopped else ""
    return f"{unusual.job}: {unusual.what} {unusual.number:,}, usually {about(unusual)} on such a day.{stopped}"


def about(unusual: Unusual) -> str:
    """What is usual, in round words."""
    return f"about {unusual.about:,}" if unusual.about else "hardly any"
