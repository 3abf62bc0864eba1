"""Learning: the only floor that needs torch."""
