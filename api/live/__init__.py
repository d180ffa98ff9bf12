"""Answers that wait for a change: followed logs, and long polls for a job."""
