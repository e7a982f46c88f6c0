"""Watching for what looks wrong: a number that differs too much from what is usual on such a day.

`judging` says what is usual and what is unusual, in numbers alone; `reading` finds the numbers; `noticing` puts them
together at the end of a run and keeps what it found, so that the closing table, the daily report, the figures and
`status` tell the same; `stopping` is asked by the two jobs that can be stopped by it.

Nothing here changes what a run does, but for a stop that an operator has switched on (`[watching]`).
"""
