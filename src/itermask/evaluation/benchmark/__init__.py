"""Benchmarks: methods × data × protocols, from one settings file to tables; `itermask benchmark` runs them."""
