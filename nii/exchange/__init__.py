"""Scans and findings between systems: a watched folder in, packages out."""
