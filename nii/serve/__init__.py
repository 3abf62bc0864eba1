"""Serve: scans and tensors over HTTP, with one model held open."""
