"""Real architectures at their true sizes, in plain torch, with seeded random weights."""
