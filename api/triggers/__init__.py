"""What people do with triggers: write, fire and read them. The store decides what becomes of what happens."""
