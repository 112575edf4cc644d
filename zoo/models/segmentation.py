"""segmentation-models-pytorch: every decoder, over encoders of several kinds."""

from __future__ import annotations

from typing import Any

from modelport import Recipe
from zoo.entry import Entry, images, seeded

MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Unet": ("Unet", "resnet18", {"decoder_channels": (64, 48, 32, 24, 16)}),
    "Unet.scse": (
        "Unet",
        "mobilenet_v2",
        {"decoder_attention_type": "scse", "decoder_channels": (64, 48, 32, 24, 16)},
    ),
    "UnetPlusPlus": ("UnetPlusPlus", "resnet18", {"decoder_channels": (64, 48, 32, 24, 16)}),
    "MAnet": ("MAnet", "resnet18", {"decoder_channels": (64, 48, 32, 24, 16)}),
    "Linknet": ("Linknet", "efficientnet-b0", {}),
    "FPN": ("FPN", "timm-mobilenetv3_small_minimal_100", {"decoder_pyramid_channels": 64}),
    "PSPNet": ("PSPNet", "resnet18", {}),
    "DeepLabV3": ("DeepLabV3", "mobilenet_v2", {"decoder_channels": 64}),
    "DeepLabV3Plus": ("DeepLabV3Plus", "resnet18", {"decoder_channels": 64}),
    "PAN": ("PAN", "resnet18", {}),
    "UPerNet": ("UPerNet", "mit_b0", {"decoder_channels": 64}),
    "Segformer": ("Segformer", "mit_b0", {}),
    "Unet.densenet": ("Unet", "densenet121", {"decoder_channels": (64, 48, 32, 24, 16)}),
    "Unet.vgg": ("Unet", "vgg11_bn", {"decoder_channels": (64, 48, 32, 24, 16)}),
}
"""Decoder, encoder, and arguments of the library."""


def entries() -> list[Entry]:
    """The models."""
    import segmentation_models_pytorch as library

    def made(name: str) -> Recipe:
        kind, encoder, options = MODELS[name]
        build = getattr(library, kind)
        model = seeded(build, encoder_name=encoder, encoder_weights=None, classes=3, **options)
        # PAN pools seven by seven of the smallest map.
        size = 128 if kind == "PAN" else 64
        return images(model, size, multiple=32, least=size)

    return [Entry(f"segmentation/{name}", lambda n=name: made(n)) for name in MODELS]
