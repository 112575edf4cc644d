"""Examples of every command, which its ``--help`` ends with."""

from __future__ import annotations

import argparse

EXAMPLES = {
    "init": (
        "modelport init weights.pth -o recipe.py",
        "modelport init package.module:Model -o recipe.py",
    ),
    "deploy": (
        "modelport deploy recipe.py -o model.port",
        "modelport deploy recipe.py -o model.port --target onnxruntime,openvino:fp16",
        "modelport deploy recipe.py -o model.port --target onnxruntime:int8 --data photos/",
        "modelport deploy package.module:Model -o model.port --input-shapes image=batch,3,224,224",
    ),
    "tune": ("modelport tune recipe.py -o fastest.port --budget 300",),
    "bench": (
        "modelport bench model.port",
        "modelport bench model.port --against torch --source recipe.py --size batch=1,8",
    ),
    "compile": (
        "modelport compile model.onnx -o model.engine --target tensorrt-rtx:fp16 "
        "--profile batch=1:4:16",
    ),
    "export": ("modelport export recipe.py -o model.onnx --opset 20",),
    "quantize": (
        "modelport quantize recipe.py -o int8.onnx --int8 --data photos/ --max-drop 0.01",
        "modelport quantize model.onnx -o half.onnx --fp16",
    ),
    "diagnose": ("modelport diagnose recipe.py",),
    "check": ("modelport check model.onnx",),
    "run": ("modelport run model.port --input image=@photo.npy --output result=@result.npy",),
    "verify": ("modelport verify model.port", "modelport verify model.port --against recipe.py"),
    "bundle ls": ("modelport bundle ls model.port",),
    "bundle info": ("modelport bundle info model.port",),
    "bundle join": (
        "modelport bundle join detect=detector.port read=reader.port -o both.port "
        "--connect read.image=detect.crops",
    ),
    "bundle add": ("modelport bundle add model.port --target openvino",),
    "bundle strip": ("modelport bundle strip model.port --target torch --sources",),
    "bundle sign": ("modelport bundle sign model.port --key maker.pem",),
    "bundle keygen": ("modelport bundle keygen maker.pem",),
    "bundle verify": ("modelport bundle verify model.port --key maker.pub.pem",),
    "bundle trust": ("modelport bundle trust model.port",),
    "bundle selftest": ("modelport bundle selftest model.port",),
    "bundle dockerfile": ("modelport bundle dockerfile model.port -o container/",),
    "compare": (
        "modelport compare recipe.py model.onnx",
        "modelport compare model.onnx --target onnxruntime,openvino",
    ),
    "bisect": (
        "modelport bisect recipe.py model.onnx",
        "modelport bisect model.onnx --target onnxruntime,openvino:fp16 --reduce --save small/",
    ),
    "graph inspect": ("modelport graph inspect model.onnx --ops",),
    "graph print": ("modelport graph print model.onnx --node conv1",),
    "graph draw": ("modelport graph draw model.onnx -o model.svg",),
    "graph view": ("modelport graph view model.onnx",),
    "graph diff": ("modelport graph diff before.onnx after.onnx",),
    "graph lint": ("modelport graph lint model.onnx --target tensorrt-rtx",),
    "graph extract": ("modelport graph extract model.onnx -o part.onnx --from image --to seen",),
    "graph expose": ("modelport graph expose model.onnx -o seen.onnx --op Softmax",),
    "graph partition": ("modelport graph partition model.onnx -o parts/ --at features",),
    "graph edit": ("modelport graph edit model.onnx -o named.onnx --rename input.1=image",),
    "graph simplify": ("modelport graph simplify model.onnx -o small.onnx",),
    "ops support": ("modelport ops support recipe.py",),
    "ops info": ("modelport ops info aten::grid_sampler",),
    "ops find": ("modelport ops find deformable convolution",),
    "ops new": ("modelport ops new mine::blur --into operators/",),
    "ops build": ("modelport ops build operators/",),
    "ops test": ("modelport ops test operators/ --sanitize",),
    "ops list": ("modelport ops list operators/",),
    "completion": ("modelport completion bash > ~/.modelport-completion",),
    "doctor": ("modelport doctor",),
}


def add_examples(parser: argparse.ArgumentParser, name: str = "") -> None:
    """Adds the examples to the help of a parser and of its commands.

    Args:
        parser: The parser.
        name: The command that it parses; empty for the program.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                add_examples(inner, f"{name} {word}".strip())
    if name in EXAMPLES:
        parser.epilog = "examples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[name])
        parser.formatter_class = _Help


class _Help(argparse.HelpFormatter):
    """Wraps descriptions, and leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)
