"""Rules: one micro-delay a file, named for the bad state."""
