"""Finding the brain: scans whose brain is known, and what is measured on them."""
