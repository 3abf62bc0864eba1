"""A folder of arriving scans, watched for months: each scan inspected once, nothing lost."""
