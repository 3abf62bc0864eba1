"""Simulated scans: a scene of known things, a scanner that looks at it, and the truth."""
