"""Seeing a day before it is done, and doing no other than the one that was seen.

`rehearsal` goes through the day and takes everything back; `day_plan` keeps what it saw, and lets a run begin only if
it would do the same; `digest` and `plan_file` are how a plan is recognised and remembered, and `notes` says what it
cannot know.
"""
