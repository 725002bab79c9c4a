"""One image moved onto another: found, judged, written down, applied."""
