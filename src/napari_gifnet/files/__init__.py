"""Image files, and the samples."""
