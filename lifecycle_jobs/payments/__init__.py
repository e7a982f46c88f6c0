"""Collecting money: the gateway protocol, the sandbox that stands in for a bank, and the exactly-once protocol."""
