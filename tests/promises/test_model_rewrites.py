"""M16: a model's function replaced for one backend only, without a change to the model's code."""

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from modelport.capture.rewriters import registrations, rewrite, rewriting


def sharpen(x, amount):
    """A function of the model's own library."""
    return x + amount * (x - F.avg_pool2d(x, 3, 1, 1))


class Photo(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return F.interpolate(sharpen(self.conv(x), 0.5), scale_factor=2.0, mode="bilinear")


@pytest.fixture
def rewritten():
    @rewrite(f"{__name__}.sharpen", target="tensorrt")
    def no_sharpening(ctx, x, amount):
        return x

    @rewrite("torch.nn.functional.interpolate", target="tensorrt", opset=18)
    def nearest(ctx, x, *args, **kwargs):
        return ctx.original(x, scale_factor=kwargs["scale_factor"], mode="nearest")

    yield
    for entry in registrations():
        if not entry.shipped:
            entry.remove()


def exported(model, x, target):
    with rewriting(model, target=target) as active:
        program = torch.onnx.export(
            active.model,
            (x,),
            dynamo=True,
            input_names=["x"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return {node.op_type for node in program.model.graph}, session, active


@pytest.mark.usefixtures("rewritten")
def test_a_function_is_replaced_for_one_backend_only():
    torch.manual_seed(0)
    model = Photo().eval()
    example, other = torch.rand(2, 3, 8, 8), torch.rand(5, 3, 8, 8)
    original, before = sharpen, model(other).detach().numpy()

    operators, session, active = exported(model, example, "tensorrt:fp16")
    assert "AveragePool" not in operators
    assert [(record.name, record.calls) for record in active.called] == [
        (f"{__name__}.sharpen", 1),
        ("torch.nn.functional.interpolate", 1),
    ]
    expected = F.interpolate(model.conv(other), scale_factor=2.0, mode="nearest")
    (result,) = session.run(None, {"x": other.numpy()})
    np.testing.assert_allclose(result, expected.detach().numpy(), rtol=1e-4, atol=1e-5)

    operators, session, active = exported(model, example, "onnxruntime")
    assert "AveragePool" in operators
    assert not active.called
    (result,) = session.run(None, {"x": other.numpy()})
    np.testing.assert_allclose(result, before, rtol=1e-4, atol=1e-5)

    assert sharpen is original
    np.testing.assert_array_equal(model(other).detach().numpy(), before)
