"""The photograph that the example enlarges."""

import numpy as np
from PIL import Image
from skimage import data


def high_resolution() -> np.ndarray:
    """Chelsea the cat (by Stéfan van der Walt, CC0), held out from training.

    Returns:
        uint8 [300, 450, 3], RGB; a multiple of 3 each way.
    """
    return data.chelsea()[:300, :450]


def low_resolution() -> np.ndarray:
    """The same, a third as large, by Pillow's antialiased bicubic filter.

    Returns:
        uint8 [100, 150, 3], RGB.
    """
    picture = Image.fromarray(high_resolution())
    return np.asarray(picture.resize((150, 100), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    import sys

    Image.fromarray(low_resolution()).save(sys.argv[1])
