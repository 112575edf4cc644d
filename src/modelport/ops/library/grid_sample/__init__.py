"""Looking at an image, or a volume, at given places."""
