"""What the doctor is told of a Docker engine, with containers that live for a moment."""
