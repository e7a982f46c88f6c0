"""What may happen in a life, by subject: the days, and what holders and clerks do."""
