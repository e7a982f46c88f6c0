"""`python -m lifecycle_jobs` is `lifecycle-jobs`."""

from __future__ import annotations

from lifecycle_jobs.cli import main

if __name__ == "__main__":
    main()
