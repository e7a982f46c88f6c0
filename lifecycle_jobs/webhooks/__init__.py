"""Events to other systems: signed webhooks, so that the mail platform really blocks and deletes.

`take_up` finds the events that are to go, `records` keeps what waits, `envelope` writes and signs, `requests_in_flight`
talks, `time_limit` bounds how long, `deliver` is one pass over all that, `replay` has it all sent again, `numbering`
keeps `sequence` growing after a restored backup, `waiting` is what a person looks at.
"""
