"""What the in-memory store tells of what people look at."""
