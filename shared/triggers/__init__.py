"""What starts retrainings by itself: a trigger, its condition and policy, and what its store promises."""
