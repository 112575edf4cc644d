"""The one place that touches private names of torch.

Each access is a small function, so that what moves in a later version is found and mended here.
Tested with torch 2.13.
"""
