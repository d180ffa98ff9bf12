"""What holds for every request: who may ask, how it is read, and how errors are answered."""
