"""From a scan to a model's grid and intensity scale, and back."""
