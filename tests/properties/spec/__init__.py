"""SPEC.md once more, in plain Python: what boxes, orders, credit, add-ons and payments must be after each step.

Written from the text and importing nothing of the program, so that what the program has misread shows. Where the text
is silent, the decision is named where it is taken. Business dates and whole cents throughout.
"""
