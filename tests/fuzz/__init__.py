"""Asks a served API what its document allows, and what it does not, as a caller of each role: `make fuzz`."""
