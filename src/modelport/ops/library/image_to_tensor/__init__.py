"""A picture's bytes, resized, cropped and normalised in one go."""
