"""timm: one or two of each of its families, at small sizes."""

from __future__ import annotations

from typing import Any

from modelport import Recipe
from zoo.entry import Entry, images, seeded

ANY_SIZE: dict[str, dict[str, Any]] = {
    "resnet10t": {},
    "resnetv2_18d": {},
    "legacy_seresnet18": {},
    "skresnet18": {},
    "ecaresnet26t": {"build": {"layers": (1, 1, 1, 1)}},
    "res2net50_26w_4s": {"build": {"layers": (1, 1, 1, 1)}},
    "resnest14d": {},
    "gcresnext26ts": {},
    "repvgg_a0": {},
    "mobileone_s0": {},
    "regnetz_b16": {},
    "dla34": {"multiple": 32},
    "dpn48b": {},
    "densenet121": {"build": {"block_config": (2, 2, 2, 2)}},
    "ese_vovnet19b_slim": {},
    "cspresnet50": {},
    "darknet17": {},
    "rexnet_100": {},
    "hardcorenas_a": {},
    "lcnet_050": {},
    "fbnetc_100": {},
    "mnasnet_small": {},
    "semnasnet_075": {},
    "mixnet_s": {},
    "tf_efficientnet_b0": {},
    "tf_efficientnetv2_b0": {},
    "mobilenetv2_050": {},
    "mobilenetv3_small_050": {},
    "mobilenetv4_conv_small_035": {},
    "mobilenetv4_hybrid_medium": {},
    "tinynet_e": {},
    "ghostnet_050": {},
    "repghostnet_050": {},
    "nfnet_l0": {},
    "xception41": {"size": 96},
    "inception_v4": {"size": 96, "least": 80},
    "hgnet_tiny": {},
    "hrnet_w18_small": {"multiple": 32},
    "tresnet_m": {"multiple": 4},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "inception_next_atto": {},
    "mambaout_femto": {},
    "poolformer_s12": {},
    "edgenext_xx_small": {},
    "fastvit_t8": {},
    "fasternet_t0": {},
    "repvit_m0_9": {},
    "starnet_s1": {},
    "swiftformer_xs": {},
    "shvit_s1": {},
    "rdnet_tiny": {},
    "efficientvit_b0": {},
    "efficientvit_m0": {},
    "pvt_v2_b0": {},
    "mobilevit_xxs": {},
    "mobilevitv2_050": {},
    "davit_tiny": {"build": {"depths": (1, 1, 1, 1), "embed_dims": (24, 48, 96, 192)}},
    "tiny_vit_5m_224": {},
    "iformer_t": {},
    "lowformer_b0": {},
    "efficientvim_m1": {},
    "csatv2": {},
    "xcit_nano_12_p16_224": {"multiple": 16, "build": {"depth": 2, "embed_dim": 48}},
    "sequencer2d_s": {"multiple": 32},
    "twins_svt_small": {"multiple": 32, "build": {"depths": (1, 1, 2, 1)}},
    "twins_pcpvt_small": {"multiple": 32, "build": {"depths": (1, 1, 2, 1)}},
    "eca_botnext26ts_256": {"fixed": True, "build": {"img_size": 64}},
    "lambda_resnet26t": {"fixed": True},
}
"""Options by name: ``build`` goes to the library, the rest to `images`."""

VIT: dict[str, Any] = {"depth": 2, "embed_dim": 48, "num_heads": 3}
WINDOWS: dict[str, Any] = {"depths": (2, 2), "embed_dim": 24, "num_heads": (2, 4)}

FIXED_SIZE: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": VIT,
    "vit_relpos_small_patch16_224": VIT,
    "vit_srelpos_small_patch16_224": VIT,
    "vit_tiny_r_s16_p8_224": VIT,
    "deit_tiny_distilled_patch16_224": VIT,
    "beit_base_patch16_224": VIT,
    "eva02_tiny_patch14_224": {**VIT, "patch_size": 16},
    "cait_xxs24_224": VIT,
    "convit_tiny": {"depth": 3, "local_up_to_layer": 2, "embed_dim": 48, "num_heads": 3},
    "swin_tiny_patch4_window7_224": WINDOWS,
    "swinv2_tiny_window8_256": WINDOWS,
    "swinv2_cr_tiny_ns_224": WINDOWS,
    "mixer_s32_224": {},
    "resmlp_12_224": {},
    "gmlp_ti16_224": {},
    "levit_128s": {},
    "pit_ti_224": {},
    "coat_lite_tiny": {},
    "gcvit_xxtiny": {},
    "tnt_s_legacy_patch16_224": {"depth": 2},
    "visformer_tiny": {},
    "volo_d1_224": {},
    "hiera_tiny_224": {},
    "efficientformerv2_s0": {},
    "maxvit_rmlp_pico_rw_256": {},
    "coatnet_nano_rw_224": {},
    "maxxvit_rmlp_nano_rw_256": {},
    "samvit_base_patch16": {**VIT, "global_attn_indexes": (1,)},
    "vitamin_small_224": {},
}
"""Arguments of the library beside ``img_size``, by name."""

DYNAMIC = ("vit_tiny_patch16_224", "eva02_tiny_patch14_224")
"""Those that are tried with ``dynamic_img_size``, too."""


def entries() -> list[Entry]:
    """The models."""
    import timm

    def built(name: str, **options: Any) -> Any:
        return seeded(timm.create_model, name, num_classes=10, **options)

    def free(name: str, size: int = 64, build: Any = None, **options: Any) -> Recipe:
        return images(built(name, **(build or {})), size, **options)

    def fixed(name: str, **options: Any) -> Recipe:
        return images(built(name, img_size=64, **options), 64, fixed=True)

    def resized(name: str) -> Recipe:
        options = {**FIXED_SIZE[name], "img_size": 64, "dynamic_img_size": True}
        return images(built(name, **options), 64, multiple=16)

    found = [
        Entry(f"timm/{name}", lambda n=name, o=options: free(n, **o))
        for name, options in ANY_SIZE.items()
    ]
    found += [
        Entry(f"timm/{name}", lambda n=name, o=options: fixed(n, **o))
        for name, options in FIXED_SIZE.items()
    ]
    found += [Entry(f"timm/{name}.dynamic", lambda n=name: resized(n)) for name in DYNAMIC]
    return found
