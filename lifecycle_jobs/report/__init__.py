"""The daily report to the staff: what a day did, what waits for a person, and what comes next."""
