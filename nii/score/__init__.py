"""Score: thousands to millions of scans into Parquet, resumable, on one machine or a cluster."""
