"""Measures what the guard and an evaluation cost a job."""
