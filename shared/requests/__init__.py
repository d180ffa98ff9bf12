"""The body of POST /retrain: validated at the door, read tolerantly from the record."""
