"""Trains the x3 SRCNN of this example on a few photographs, in minutes on a CPU.

The photographs ship inside the scikit-image package, so nothing is downloaded. Two of them are
held out; the table printed at the end compares SRCNN with bicubic upsampling on those.

    python train.py             # train, write srcnn.pth, evaluate it
    python train.py --evaluate  # only evaluate the srcnn.pth that is there
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import skimage
import torch
from model import CHECKPOINT, CHECKPOINT_PREFIX, SRCNN, load_srcnn
from PIL import Image
from torch import nn
from torch.nn import functional

SCALE = 3
PHOTO_FOLDER = Path(skimage.__file__).parent / "data"
TRAINING_PHOTOS = (
    "astronaut.png",
    "camera.png",
    "coins.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
)
HELD_OUT_PHOTOS = ("chelsea.png", "coffee.png")

SEED = 0
SHRINK_FACTORS = (1.0, 0.8, 0.6)
PATCH_SIZE = 24  # low-resolution pixels
BATCH_SIZE = 8
LEARNING_RATE = 1e-3
INITIAL_NOISE = 3e-3
STEPS_PER_REPORT = 500

Pair = tuple[torch.Tensor, torch.Tensor]


def open_photo(name: str) -> Image.Image:
    """Opens a photograph of scikit-image as RGB."""
    return Image.open(PHOTO_FOLDER / name).convert("RGB")


def shrink(photo: Image.Image, factor: float) -> Image.Image:
    """Resizes a photograph to ``factor`` (0..1] times its size, with antialiasing."""
    size = (round(photo.width * factor), round(photo.height * factor))
    return photo.resize(size, Image.Resampling.BICUBIC)


def to_tensor(photo: Image.Image) -> torch.Tensor:
    """Converts an RGB photograph to a float32 tensor [3, H, W], 0..255."""
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1).float()


def make_pair(photo: Image.Image) -> Pair:
    """Makes the low-resolution input of the network and the target that belongs to it.

    Args:
        photo: RGB photograph of any size; what exceeds a multiple of ``SCALE`` is cut off.

    Returns:
        Float32 tensors [3, h, w] and [3, h * SCALE, w * SCALE], 0..255.
    """
    width, height = photo.width // SCALE, photo.height // SCALE
    high = photo.crop((0, 0, width * SCALE, height * SCALE))
    low = high.resize((width, height), Image.Resampling.BICUBIC)
    return to_tensor(low), to_tensor(high)


def load_training_pairs() -> list[Pair]:
    """Returns low- and high-resolution training images, 0..1, at several sizes of each photo."""
    pairs = []
    for name in TRAINING_PHOTOS:
        photo = open_photo(name)
        for factor in SHRINK_FACTORS:
            low, high = make_pair(shrink(photo, factor))
            pairs.append((low / 255, high / 255))
    return pairs


def sample_patch(pair: Pair, rng: random.Random) -> Pair:
    """Cuts a random patch out of a pair of images, randomly flipped and rotated.

    Args:
        pair: Low- and high-resolution image, [3, h, w] and [3, h * SCALE, w * SCALE].
        rng: Source of randomness.

    Returns:
        Patches [3, PATCH_SIZE, PATCH_SIZE] and [3, PATCH_SIZE * SCALE, PATCH_SIZE * SCALE].
    """
    low, high = pair
    top = rng.randrange(low.shape[1] - PATCH_SIZE + 1)
    left = rng.randrange(low.shape[2] - PATCH_SIZE + 1)
    turns, flipped = rng.randrange(4), rng.random() < 0.5

    def cut(image: torch.Tensor, scale: int) -> torch.Tensor:
        rows = slice(top * scale, (top + PATCH_SIZE) * scale)
        columns = slice(left * scale, (left + PATCH_SIZE) * scale)
        patch = torch.rot90(image[:, rows, columns], turns, dims=(1, 2))
        return patch.flip(2) if flipped else patch

    return cut(low, 1), cut(high, SCALE)


def sample_batch(pairs: list[Pair], rng: random.Random) -> Pair:
    """Stacks ``BATCH_SIZE`` random patches, drawn with equal weight from all pairs."""
    patches = [sample_patch(rng.choice(pairs), rng) for _ in range(BATCH_SIZE)]
    lows, highs = zip(*patches, strict=True)
    return torch.stack(lows), torch.stack(highs)


@torch.no_grad()
def start_from_identity(model: SRCNN) -> None:
    """Makes the convolutions copy their input, so that training starts at bicubic quality.

    The copy survives the ReLUs because images are not negative. Small noise on all weights makes
    the spare channels differ from each other.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.dirac_(parameter)
            parameter.add_(torch.randn_like(parameter), alpha=INITIAL_NOISE)


def train(steps: int, minutes: float) -> SRCNN:
    """Trains a network in units of 0..1.

    Args:
        steps: Number of optimizer steps.
        minutes: Time limit; the learning rate decays faster where it comes before ``steps``.

    Returns:
        The trained network, for images in 0..1.
    """
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    pairs = load_training_pairs()
    model = SRCNN(SCALE)
    start_from_identity(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    start = time.monotonic()
    step, loss_sum = 0, 0.0
    while (progress := max(step / steps, (time.monotonic() - start) / (60 * minutes))) < 1:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * progress))
        low, high = sample_batch(pairs, rng)
        loss = functional.mse_loss(model(low), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        step += 1
        loss_sum += loss.item()
        if step % STEPS_PER_REPORT == 0:
            training_psnr = -10 * math.log10(loss_sum / STEPS_PER_REPORT)
            print(f"step {step:6d}  training PSNR {training_psnr:.2f} dB", flush=True)
            loss_sum = 0.0
    print(f"trained {step} steps in {time.monotonic() - start:.0f} s")
    return model


def save_checkpoint(model: SRCNN, path: Path) -> None:
    """Writes a network trained on 0..1 as a checkpoint for images in 0..255.

    Args:
        model: Network for images in 0..1.
        path: File to write; ``model.load_checkpoint`` describes the layout.
    """
    state_dict = {}
    for name, tensor in model.state_dict().items():
        # Bicubic upsampling, ReLU and bias-free convolution commute with a positive factor, so
        # scaling every bias by 255 is exactly what takes the network from 0..1 to 0..255.
        factor = 255 if name.endswith(".bias") else 1
        state_dict[CHECKPOINT_PREFIX + name] = tensor * factor
    torch.save({"state_dict": state_dict}, path)


def psnr(image: torch.Tensor, target: torch.Tensor) -> float:
    """Peak signal-to-noise ratio over all pixels and channels, after rounding to bytes.

    Args:
        image: Image to judge, any shape, nominally 0..255.
        target: Original of the same shape, whole numbers 0..255.

    Returns:
        PSNR in dB, for a peak of 255.
    """
    error = image.round().clamp(0, 255).double() - target.double()
    return 10 * math.log10(255**2 / error.square().mean().item())


@torch.no_grad()
def evaluate(model: SRCNN, name: str) -> tuple[float, float]:
    """Compares the network with bicubic upsampling on one photograph.

    Args:
        model: Network for images in 0..255.
        name: File name of the photograph.

    Returns:
        PSNR of bicubic upsampling and of the network, in dB.
    """
    low, high = make_pair(open_photo(name))
    batch = low.unsqueeze(0)
    return psnr(model.img_upsampler(batch)[0], high), psnr(model(batch)[0], high)


def print_table(model: SRCNN) -> None:
    """Prints the PSNR on every held-out photograph, and the average.

    Args:
        model: Network for images in 0..255.
    """
    rows = {name: evaluate(model, name) for name in HELD_OUT_PHOTOS}
    bicubic_values, srcnn_values = zip(*rows.values(), strict=True)
    rows["average"] = (sum(bicubic_values) / len(rows), sum(srcnn_values) / len(rows))
    print(f"{'PSNR in dB':<12}{'bicubic':>9}{'SRCNN':>9}{'gain':>9}")
    for name, (bicubic, srcnn) in rows.items():
        print(f"{name:<12}{bicubic:9.2f}{srcnn:9.2f}{srcnn - bicubic:+9.2f}")


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description="Train or evaluate the x3 SRCNN.")
    parser.add_argument(
        "--evaluate", action="store_true", help="only evaluate the checkpoint that is there"
    )
    parser.add_argument(
        "--steps", type=int, default=10_000, help="training steps (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="training time limit (default: none)"
    )
    return parser.parse_args()


def main() -> None:
    """Trains the network unless ``--evaluate`` is set, then evaluates the checkpoint."""
    arguments = parse_arguments()
    if not arguments.evaluate:
        save_checkpoint(train(arguments.steps, arguments.minutes), CHECKPOINT)
    print_table(load_srcnn())


if __name__ == "__main__":
    main()
