"""`make bench`: what the service costs beside doing the same by hand, as figures that machines can compare."""
