"""What this machine offers, its signs of life, and its disks."""
