"""How good a model is: detections against truth, curves, intervals and a report."""
