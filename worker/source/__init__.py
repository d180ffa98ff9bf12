"""The source of a job: from a git address and a ref to a folder of exactly one commit. Only this room runs git."""
