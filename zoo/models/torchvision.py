"""torchvision: classification, segmentation, detection, video and optical flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from modelport import Dim, Recipe
from zoo.entry import Entry, images, numbers, seeded

_NO_WEIGHTS: dict[str, Any] = {"weights": None}
_NO_BACKBONE: dict[str, Any] = {"weights": None, "weights_backbone": None}

CLASSIFIERS: dict[str, dict[str, Any]] = {
    "alexnet": {"size": 96},
    "vgg11": {},
    "vgg11_bn": {},
    "resnet18": {},
    "resnext50_32x4d": {},
    "wide_resnet50_2": {},
    "squeezenet1_1": {},
    "densenet121": {},
    "googlenet": {"build": {"init_weights": False, "aux_logits": False}},
    "inception_v3": {"size": 96, "build": {"init_weights": False, "aux_logits": False}},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "shufflenet_v2_x0_5": {},
    "mnasnet0_5": {},
    "efficientnet_b0": {},
    "regnet_y_400mf": {},
    "regnet_x_400mf": {},
    "convnext_tiny": {},
}
"""Options by name; ``build`` goes to the library, the rest to `images`."""

SEGMENTERS = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")

DETECTORS: dict[str, dict[str, Any]] = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": {"box_score_thresh": 0.0},
    "fasterrcnn_resnet50_fpn_v2": {"box_score_thresh": 0.0},
    "maskrcnn_resnet50_fpn": {"box_score_thresh": 0.0},
    "keypointrcnn_resnet50_fpn": {"box_score_thresh": 0.0, "num_classes": 2},
    "retinanet_resnet50_fpn": {"score_thresh": 0.0},
    "fcos_resnet50_fpn": {"score_thresh": 0.0},
    "ssd300_vgg16": {"score_thresh": 0.0},
    "ssdlite320_mobilenet_v3_large": {"score_thresh": 0.0},
}
"""Options by name; with random weights, a threshold would leave nothing to compare."""

VIDEOS = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d")


class _Detector(nn.Module):
    """A detector of one picture, [3, H, W]: torchvision's take and give lists."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Any) -> Any:
        return self.model([picture])[0]


class _Flow(nn.Module):
    """The last of the flows that an optical flow model refines."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, before: Any, after: Any) -> Any:
        return self.model(before, after, num_flow_updates=3)[-1]


def entries() -> list[Entry]:
    """The models."""
    import torchvision.models as models

    def classifier(name: str, size: int = 64, **options: Any) -> Recipe:
        build = {"num_classes": 10, **_NO_WEIGHTS, **options.pop("build", {})}
        return images(seeded(getattr(models, name), **build), size, **options)

    def segmenter(name: str) -> Recipe:
        build = getattr(models.segmentation, name)
        return images(seeded(build, num_classes=4, **_NO_BACKBONE), 64)

    def detector(name: str) -> Recipe:
        options = {"num_classes": 4, **_NO_BACKBONE, **DETECTORS[name]}
        if "rcnn" in name or name.startswith(("retina", "fcos")):
            options |= {"min_size": 96, "max_size": 160}
        model = _Detector(seeded(getattr(models.detection, name), **options))
        axes = {1: Dim("height", 64, 160), 2: Dim("width", 64, 160)}
        return Recipe(model, (numbers(3, 96, 128).sigmoid(),), dynamic={"picture": axes})

    def video(name: str) -> Recipe:
        model = seeded(getattr(models.video, name), num_classes=10, **_NO_WEIGHTS)
        axes = {0: "batch", 2: Dim("frames", 14, 24), 3: Dim("height", 64, 96)}
        name_of = {"s3d": "x"}.get(name, "x")
        return Recipe(model, (numbers(1, 3, 16, 64, 64),), dynamic={name_of: axes})

    def flow(name: str) -> Recipe:
        model = _Flow(seeded(getattr(models.optical_flow, name), **_NO_WEIGHTS))
        pair = (numbers(1, 3, 128, 128), numbers(1, 3, 128, 128, seed=3))
        axes = {0: "batch"}
        return Recipe(model, pair, dynamic={"before": axes, "after": axes})

    def transformer(build: Callable[..., nn.Module], **options: Any) -> Callable[[], Recipe]:
        size = options.pop("size", 64)
        return lambda: images(seeded(build, num_classes=10, **options), size, fixed=True)

    window = {"patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4]}
    found = [
        Entry(f"torchvision/{name}", lambda n=name, o=options: classifier(n, **o))
        for name, options in CLASSIFIERS.items()
    ]
    found += [
        Entry(
            "torchvision/vit",
            transformer(
                models.VisionTransformer,
                **{"image_size": 64, "patch_size": 16, "num_layers": 2, "num_heads": 4},
                **{"hidden_dim": 64, "mlp_dim": 128},
            ),
        ),
        Entry(
            "torchvision/swin",
            lambda: images(
                seeded(models.SwinTransformer, window_size=[4, 4], num_classes=10, **window), 64
            ),
        ),
        Entry(
            "torchvision/swin_v2",
            lambda: images(
                seeded(
                    models.SwinTransformer,
                    **{"window_size": [4, 4], "num_classes": 10, **window},
                    block=_swin_v2()[0],
                    downsample_layer=_swin_v2()[1],
                ),
                64,
            ),
        ),
        Entry(
            "torchvision/maxvit",
            transformer(
                models.MaxVit,
                **{"input_size": (64, 64), "stem_channels": 16, "partition_size": 2},
                **{"block_channels": [16, 32], "block_layers": [1, 1], "head_dim": 8},
                **{"stochastic_depth_prob": 0.0},
            ),
        ),
    ]
    found += [Entry(f"torchvision/{name}", lambda n=name: segmenter(n)) for name in SEGMENTERS]
    found += [Entry(f"torchvision/{name}", lambda n=name: detector(n)) for name in DETECTORS]
    found += [Entry(f"torchvision/{name}", lambda n=name: video(n)) for name in VIDEOS]
    found.append(Entry("torchvision/raft_small", lambda: flow("raft_small")))
    return found


def _swin_v2() -> tuple[Any, Any]:
    from torchvision.models import swin_transformer

    return swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2
