"""The worker: claims jobs, fetches their source, runs and supervises their training, and records the result."""
