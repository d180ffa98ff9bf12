"""Proof by fault injection: a real stack under load, faults from a seeded schedule, and what must hold meanwhile."""
