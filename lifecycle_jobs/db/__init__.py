"""The store: tables, transactions, migrations, and moving data in and out."""
