"""Regions of feature maps, pooled to one size."""
