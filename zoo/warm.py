"""Warm start: imports and fills once, before a process is forked for each model."""

from __future__ import annotations

import contextlib
import importlib
import io

LIBRARIES = (
    *("torchvision", "timm", "transformers", "diffusers", "segmentation_models_pytorch"),
    *("spandrel", "torch_geometric.nn", "torchaudio", "onnx", "onnx_ir", "onnxscript"),
    *("modelport.deployment.deployer", "modelport.passes", "zoo.steps"),
)


def warm_up() -> None:
    """Imports the libraries, and exports a small model so that torch's own tables are made.

    Nothing here starts a thread, which a forked process would not have: no backend is imported,
    and torch is set to use one.
    """
    import torch

    torch.set_num_threads(1)
    for name in LIBRARIES:
        importlib.import_module(name)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(
            torch.nn.Conv2d(1, 1, 3).eval(),
            (torch.zeros(2, 1, 8, 8),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )
