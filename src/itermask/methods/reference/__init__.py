"""The published systems, written a second time as their papers state them."""
