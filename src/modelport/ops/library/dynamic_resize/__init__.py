"""Resizing by scales that are chosen at run time."""
