"""The locks, what is installed from them, and what they say of images."""
