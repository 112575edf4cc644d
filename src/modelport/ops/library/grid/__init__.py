"""The voxel that each point of a cloud lies in."""
