"""What every store promises about callers."""
