"""The nearest points of point clouds."""
