"""Arrays of any kind to planes in [0, 1] and back: intensity, colour, what a task prefers."""
