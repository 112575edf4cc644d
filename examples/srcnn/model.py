"""SRCNN super-resolution networks: one with a fixed scale, one with the scale as an input.

Images are RGB in the range 0..255, as float32 tensors in NCHW layout. The output is not clipped,
so it can lie slightly outside that range.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

CHECKPOINT = Path(__file__).with_name("srcnn.pth")
CHECKPOINT_PREFIX = "generator."


class BicubicResize(torch.autograd.Function):
    """Bicubic resize whose scale factors are a tensor, in PyTorch and in ONNX alike.

    ``interpolate`` wants Python numbers, which tracing would freeze into the graph. The ONNX
    ``Resize`` operator takes its scales as an input, so ``symbolic`` passes the tensor on. (The
    tracer still warns about ``tolist``; what it traced inside ``forward`` is not exported.)
    The function is for inference only: it has no backward pass.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Resizes a batch of images.

        Args:
            ctx: Autograd context, unused.
            x: Images, float32 [N, C, H, W].
            scales: Scale factor of each axis of ``x``, float32 [4]: (1, 1, height, width).

        Returns:
            Resized images, float32 [N, C, H * scales[2], W * scales[3]].
        """
        return functional.interpolate(
            x,
            scale_factor=scales.tolist()[-2:],
            mode="bicubic",
            align_corners=False,
            recompute_scale_factor=False,
        )

    @staticmethod
    def symbolic(g: Any, x: Any, scales: Any) -> Any:
        """Emits the ONNX ``Resize`` that computes what ``forward`` does.

        Args:
            g: Graph under construction, a ``torch.onnx`` graph context.
            x: Graph value of the images.
            scales: Graph value of the scale factors.

        Returns:
            Graph value of the resized images.
        """
        unused_roi = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        return g.op(
            "Resize",
            x,
            unused_roi,
            scales,
            coordinate_transformation_mode_s="pytorch_half_pixel",
            cubic_coeff_a_f=-0.75,
            mode_s="cubic",
            nearest_mode_s="floor",
        )


class RefinementNetwork(nn.Module):
    """The 9-1-5 convolutions of SRCNN, which sharpen an image that is already enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, kernel_size=9, padding=4)
        self.conv2 = nn.Conv2d(64, 32, kernel_size=1)
        self.conv3 = nn.Conv2d(32, 3, kernel_size=5, padding=2)
        self.relu = nn.ReLU()

    def refine(self, x: torch.Tensor) -> torch.Tensor:
        """Sharpens enlarged images.

        Args:
            x: Blurry images, float32 [N, 3, H, W], 0..255.

        Returns:
            Sharp images of the same shape and range, not clipped.
        """
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.conv3(x)


class SRCNN(RefinementNetwork):
    """SRCNN with a scale that is fixed when the model is built.

    Args:
        upscale_factor: Output size divided by input size. The committed checkpoint was trained
            for 3.
    """

    def __init__(self, upscale_factor: int = 3) -> None:
        super().__init__()
        self.img_upsampler = nn.Upsample(
            scale_factor=upscale_factor, mode="bicubic", align_corners=False
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarges images.

        Args:
            x: Images, float32 [N, 3, H, W], 0..255.

        Returns:
            Enlarged images, float32 [N, 3, H * upscale_factor, W * upscale_factor], not clipped.
        """
        return self.refine(self.img_upsampler(x))


class DynamicSRCNN(RefinementNetwork):
    """SRCNN with a scale that is chosen at run time."""

    def forward(self, x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        """Enlarges images.

        Args:
            x: Images, float32 [N, 3, H, W], 0..255.
            scales: Scale factor of each axis of ``x``, float32 [4]: (1, 1, height, width). They
                must give whole output sizes.

        Returns:
            Enlarged images, float32 [N, 3, H * scales[2], W * scales[3]], not clipped.
        """
        return self.refine(BicubicResize.apply(x, scales))


def load_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads a checkpoint into the parameter names of this module.

    The published checkpoint of this network holds it as the ``generator`` of a larger training
    module; ours keeps that layout, so either can be loaded.

    Args:
        path: File that ``torch.save`` wrote: ``{"state_dict": {"generator.conv1.weight": ...}}``.

    Returns:
        State dict for ``SRCNN`` or ``DynamicSRCNN``, on the CPU.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return {
        name.removeprefix(CHECKPOINT_PREFIX): tensor
        for name, tensor in checkpoint["state_dict"].items()
    }


def load_srcnn() -> SRCNN:
    """Returns the trained fixed-scale (x3) network, in eval mode."""
    model = SRCNN(upscale_factor=3)
    model.load_state_dict(load_checkpoint(CHECKPOINT))
    return model.eval()


def load_dynamic_srcnn() -> DynamicSRCNN:
    """Returns the network with the scale as an input and the same weights, in eval mode."""
    model = DynamicSRCNN()
    model.load_state_dict(load_checkpoint(CHECKPOINT))
    return model.eval()
