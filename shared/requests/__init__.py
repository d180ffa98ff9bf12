"""The body of POST /retrain: strictly validated when it arrives, read tolerantly from the record."""
