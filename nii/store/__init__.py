"""What is kept: original scans, inspections, decisions and a hash-chained log of both.

Facts live in a database (SQLite, or PostgreSQL by URL); the original files live beside it in a
folder, each under the SHA-256 of its content.
"""
