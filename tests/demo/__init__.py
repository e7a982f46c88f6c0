"""`make demo`: a small provider lives through its worked cases, on this machine only."""
