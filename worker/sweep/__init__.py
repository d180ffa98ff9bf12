"""What keeps jobs moving and a host tidy when messages, workers or Redis are lost."""
