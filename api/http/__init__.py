"""What applies to every request: who may send it, how it is read, and how errors are answered."""
