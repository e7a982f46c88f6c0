"""Why a box was or was not touched, and what becomes of it.

`verdicts` asks each job about one box on one date, by letting it act and taking that back; `left_alone` and `not_due`
put its answer into a sentence; `past` tells what has happened to the box; `coming` what will, if nobody does anything.
"""
