"""Images as planes in [0, 1], and back: ranges, colour, tasks, and what a fusion will do."""
