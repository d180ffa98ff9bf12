"""What the service is built of: one lock of all dependencies, the part of it for a group, and its way into .venv."""
