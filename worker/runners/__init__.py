"""What runs an attempt's command, behind one seam."""
