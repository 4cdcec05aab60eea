"""From the raw facts that probes take to what is written of a span, in the writer's thread; one family a file."""
