"""`flagstream act`: flags to the places that act on them, by rules in a file. Every sink is a consumer group of its own, so that each
has its own position and lag, and one that is slow or hangs holds up no other."""
