"""What the drill breaks: one module for each group of kinds, and what all of them get to do it with."""
