"""How good the answers are: metrics, and the protocols that use them."""
