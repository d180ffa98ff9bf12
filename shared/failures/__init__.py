"""What can go wrong with a job, for programs and people."""
