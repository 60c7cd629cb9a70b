"""Parts of `damaged_inputs.py`: small inputs made from real scans, ways to damage them, and what a reader sees."""
