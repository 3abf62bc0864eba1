"""Open pipeline for recognising what is inside cargo X-ray scans."""

__version__ = "0.1.0"
