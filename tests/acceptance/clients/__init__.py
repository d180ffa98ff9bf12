"""Other programs that send the service its jobs."""
