"""Makes the README's picture: bicubic beside a deployed SRCNN.

`python examples/srcnn/side_by_side.py build/srcnn.port docs/upscaled.png`
"""

import sys

import numpy as np
from photograph import low_resolution
from PIL import Image

import modelport
from modelport.files import images

CROP = (slice(60, 260), slice(100, 380))


def main(bundle: str, output: str) -> None:
    """Enlarges the photograph both ways and writes the same part of both."""
    small = low_resolution()
    size = (3 * small.shape[1], 3 * small.shape[0])
    bicubic = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
    inputs = {"input": images.to_nchw(small, "float32")}
    enlarged = images.from_nchw(modelport.load(bundle).run(inputs)["output"])
    gap = np.full((200, 8, 3), 255, np.uint8)
    Image.fromarray(np.concatenate([bicubic[CROP], gap, enlarged[CROP]], axis=1)).save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
