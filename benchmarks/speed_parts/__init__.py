"""The parts of `benchmarks/speed.py`, one table or two each."""
