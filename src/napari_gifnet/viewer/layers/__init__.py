"""napari's layers, without Qt: what is taken from them, what is done, and the layer that comes of it."""
