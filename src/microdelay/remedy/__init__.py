"""Remedies: what removes a micro-delay. They live in the user's process and use the standard library only."""
