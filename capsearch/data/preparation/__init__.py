"""From raw rows to numbers, learned from training rows alone."""
