"""torchvision: classification, segmentation, detection, video and optical flow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from torch import nn

from modelport import Dim, Recipe
from zoo.entry import Entry, images, numbers, seeded, settle

_NO_WEIGHTS: dict[str, Any] = {"weights": None}
_NO_BACKBONE: dict[str, Any] = {"weights": None, "weights_backbone": None}

CLASSIFIERS: dict[str, dict[str, Any]] = {
    "alexnet": {"size": 96},
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

_PROPOSALS: dict[str, Any] = {
    **{"rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 20},
    **{"box_score_thresh": 0.0, "box_detections_per_img": 10},
}
_ANCHORS: dict[str, Any] = {
    **{"score_thresh": 0.0, "topk_candidates": 50, "detections_per_img": 20},
}

DETECTORS: dict[str, dict[str, Any]] = {
    "FasterRCNN": _PROPOSALS,
    "MaskRCNN": _PROPOSALS,
    "KeypointRCNN": {**_PROPOSALS, "num_classes": 2, "num_keypoints": 5},
    "RetinaNet": _ANCHORS,
    "FCOS": _ANCHORS,
}
"""Options by class, on ResNet-18 with a feature pyramid. With random weights, a threshold would
leave nothing to compare."""

SINGLE_SHOT = ("ssd300_vgg16", "ssdlite320_mobilenet_v3_large")

VIDEOS = ("r3d_18", "mc3_18", "r2plus1d_18")


def _narrow(build: Callable[..., nn.Module], **options: Any) -> nn.Module:
    """A model; its hidden layers of 4096 features, which hold most of the weights, get 64."""
    model = build(**options)
    linear = [item for item in model.modules() if isinstance(item, nn.Linear)]
    wide = [layer for layer in linear if layer.out_features == 4096]
    for layer, following in itertools.pairwise(linear):
        if layer in wide:
            inputs = 64 if layer is not linear[0] else layer.in_features
            layer.__init__(inputs, 64)
            following.__init__(64, following.out_features)
    return model


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


def _calibrated(model: nn.Module) -> nn.Module:
    pictures = [numbers(3, 96, 128, seed=seed).sigmoid() for seed in (4, 5)]
    return settle(model, pictures)


def _anchored(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options with anchors for the levels of the small backbone's pyramid."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign

    sizes = ((16,), (32,), (64,), (128,))
    if name == "FCOS":
        return {**options, "anchor_generator": AnchorGenerator(sizes, ((1.0,),) * 4)}
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 4)
    if name == "RetinaNet":
        return {**options, "anchor_generator": anchors}
    levels = ["0", "1", "2"]
    pools = {"box_roi_pool": MultiScaleRoIAlign(levels, 7, 2)}
    if name == "MaskRCNN":
        pools["mask_roi_pool"] = MultiScaleRoIAlign(levels, 14, 2)
    if name == "KeypointRCNN":
        pools["keypoint_roi_pool"] = MultiScaleRoIAlign(levels, 14, 2)
    return {**options, "rpn_anchor_generator": anchors, **pools}


def _shallow(build: Callable[..., nn.Module], **options: Any) -> nn.Module:
    """A video ResNet with one block for each stage."""
    model = build(**options)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        del stage[1:]
    return model


def entries() -> list[Entry]:
    """The models."""
    import torchvision.models as models

    def classifier(name: str, size: int = 64, **options: Any) -> Recipe:
        build = {"num_classes": 10, **_NO_WEIGHTS, **options.pop("build", {})}
        return images(seeded(_narrow, getattr(models, name), **build), size, **options)

    def segmenter(name: str) -> Recipe:
        build = getattr(models.segmentation, name)
        return images(seeded(build, num_classes=4, **_NO_BACKBONE), 64)

    def detected(model: nn.Module) -> Recipe:
        axes = {1: Dim("height", 64, 160), 2: Dim("width", 64, 160)}
        picture = numbers(3, 96, 128).sigmoid()
        # torch.export refuses lists of boxes of any length, after minutes.
        return Recipe(_Detector(model), (picture,), dynamic={"picture": axes}, capture="trace")

    def detector(name: str) -> Recipe:
        from torchvision.models.detection import backbone_utils

        backbone = backbone_utils.resnet_fpn_backbone(
            backbone_name="resnet18", weights=None, returned_layers=[2, 3, 4]
        )
        options = {"num_classes": 4, **DETECTORS[name], "min_size": 96, "max_size": 160}
        build = getattr(models.detection, name)
        return detected(_calibrated(seeded(build, backbone=backbone, **_anchored(name, options))))

    def single_shot(name: str) -> Recipe:
        options = {**_NO_BACKBONE, **_ANCHORS, "num_classes": 4}
        return detected(_calibrated(seeded(getattr(models.detection, name), **options)))

    def video(name: str) -> Recipe:
        build = getattr(models.video, name)
        model = seeded(_shallow, build, num_classes=10, **_NO_WEIGHTS)
        settle(model, numbers(2, 3, 8, 32, 32))
        axes = {0: "batch", 2: Dim("frames", 6, 12), 3: Dim("height", 24, 48)}
        return Recipe(model, (numbers(2, 3, 8, 32, 32),), dynamic={"x": axes})

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
    found += [Entry(f"torchvision/{name}", lambda n=name: single_shot(n)) for name in SINGLE_SHOT]
    found += [Entry(f"torchvision/{name}", lambda n=name: video(n)) for name in VIDEOS]
    found.append(Entry("torchvision/raft_small", lambda: flow("raft_small")))
    return found


def _swin_v2() -> tuple[Any, Any]:
    from torchvision.models import swin_transformer

    return swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2
