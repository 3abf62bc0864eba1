"""Labels on paper: one file = one annotation format."""
