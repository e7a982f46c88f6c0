"""The six jobs of the day, one file a rule. Their order stands in `lifecycle_jobs.day`."""
