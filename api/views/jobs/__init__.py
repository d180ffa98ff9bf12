"""The operations about jobs."""
