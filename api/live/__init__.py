"""Answers that wait for something to change: logs that are followed, and jobs that are waited for."""
