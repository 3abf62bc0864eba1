"""From a scan and a model bundle to what an officer reads: detections, inspection, pictures."""
