"""Make training data from normal scans: other contrasts, other scanners, synthetic anomalies."""
