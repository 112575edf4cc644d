"""Files at the border: how they are written."""
