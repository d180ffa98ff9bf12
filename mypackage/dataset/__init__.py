"""Fetches datasets: one module for each origin, archives, the cache, and the record on the run."""
