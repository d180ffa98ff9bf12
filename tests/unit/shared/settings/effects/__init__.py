"""What each setting changes in the process that it is for: one row for each, kept by process."""
