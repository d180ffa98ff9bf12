"""What people look at, and nothing else depends on: how much was used, and what was told to whom, in SQL."""
