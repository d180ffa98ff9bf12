"""Runs an attempt's command: the runner interface, its registry, and the runners docker/ and process/."""
