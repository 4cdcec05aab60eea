"""Probes: one library a file, named after the module that it watches (`_` for `.`)."""
