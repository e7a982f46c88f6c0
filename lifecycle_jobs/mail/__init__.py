"""E-mails to holders: what they say, how they are rendered, kept and handed over (SPEC §4)."""
