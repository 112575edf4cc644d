"""Images to classes, masks, images and boxes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution that keeps the size, normalized, with a ReLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class LeNet(nn.Module):
    """Convolutions, pools and a classifier of one size (LeCun et al., 1998)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.AvgPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
        )
        self.head = nn.Sequential(nn.Linear(16 * 25, 32), nn.Tanh(), nn.Linear(32, 10))

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.features(image).flatten(1))


class Residual(nn.Module):
    """A residual network (He et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 7, 2)
        self.one = nn.Sequential(conv(8, 8), conv(8, 8))
        self.two = nn.Sequential(conv(8, 16, 3, 2), conv(16, 16))
        self.short = nn.Conv2d(8, 16, 1, 2)
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(image), 3, 2, 1)
        x = F.relu(x + self.one(x))
        x = F.relu(self.short(x) + self.two(x))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """Each layer sees all before it (Huang et al., "DenseNet", 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(3 + 6 * index, 6) for index in range(3)])
        self.head = nn.Linear(21, 10)

    def forward(self, image: Tensor) -> Tensor:
        seen = [image]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        return self.head(torch.cat(seen, 1).mean((2, 3)))


class Mobile(nn.Module):
    """An inverted bottleneck with attention to channels (Howard et al., "MobileNetV3", 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.grow, self.deep = conv(3, 16, 1), conv(16, 16, 5, 2, groups=16)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.shrink, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = F.hardswish(self.deep(self.grow(image)))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1))))
        x = self.shrink(x * F.hardsigmoid(gate))
        return self.head(x.mean((2, 3)))


class ConvNext(nn.Module):
    """A block of ConvNeXt (Liu et al., 2022): deep convolution, normalized channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.deep = nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.norm = nn.LayerNorm(16)
        self.mix = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.scale = nn.Parameter(torch.full((16,), 0.5))
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        mixed = self.mix(self.norm(self.deep(x).permute(0, 2, 3, 1)))
        x = x + (self.scale * mixed).permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


class Mixer(nn.Module):
    """Mixes tokens, then channels (Tolstikhin et al., "MLP-Mixer", 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.tokens = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.channels = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Linear(24, 16))
        self.one, self.two, self.head = nn.LayerNorm(16), nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.one(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.two(x))
        return self.head(x.mean(1))


class Attending(nn.Module):
    """A vision transformer whose positions are resized to the image (Dosovitskiy et al., 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.positions = nn.Parameter(torch.randn(1, 16, 4, 4))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image)
        positions = F.interpolate(self.positions, x.shape[-2:], mode="bilinear")
        x = (x + positions).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.layer(x)[:, 0])


class Windows(nn.Module):
    """Attention in shifted windows (Liu et al., "Swin", 2021), padded to whole windows."""

    def __init__(self, window: int = 4) -> None:
        super().__init__()
        self.window = window
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patches(image).permute(0, 2, 3, 1)
        batch, height, width, channels = x.shape
        size = self.window
        x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
        rows, columns = x.shape[1] // size, x.shape[2] // size
        x = torch.roll(x, (-size // 2, -size // 2), (1, 2))
        x = x.view(batch, rows, size, columns, size, channels).transpose(2, 3)
        q, k, v = self.qkv(x.reshape(-1, size * size, channels)).chunk(3, -1)
        x = self.out(F.scaled_dot_product_attention(q, k, v))
        x = x.view(batch, rows, columns, size, size, channels).transpose(2, 3)
        x = x.reshape(batch, rows * size, columns * size, channels)
        x = torch.roll(x, (size // 2, size // 2), (1, 2))[:, :height, :width]
        return self.head(x.mean((1, 2)))


class UNet(nn.Module):
    """Down and up with skips, cropped where sizes are odd (Ronneberger et al., 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = conv(3, 8), conv(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        high = self.down(image)
        low = self.up(self.deep(F.max_pool2d(high, 2)))
        low = F.pad(low, (0, high.shape[3] - low.shape[3], 0, high.shape[2] - low.shape[2]))
        return self.head(torch.cat([high, low], 1)).softmax(1)


class Atrous(nn.Module):
    """Dilated convolutions and a pooled branch, resized to the image (DeepLabV3, 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, 3, 4)
        self.rates = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=r, dilation=r) for r in (1, 2, 4))
        self.pooled, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(32, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)
        pooled = self.pooled(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, *x.shape[2:])
        x = self.head(torch.cat([*(rate(x) for rate in self.rates), pooled], 1))
        return F.interpolate(x, image.shape[2:], mode="bilinear", align_corners=False)


class SubPixel(nn.Module):
    """Super-resolution by shuffled channels over a bicubic picture (Shi et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.PReLU(16))
        self.tail = nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        detail = F.pixel_shuffle(self.tail(self.body(image)), 2)
        return detail + F.interpolate(image, scale_factor=2, mode="bicubic", align_corners=False)


class Variational(nn.Module):
    """An autoencoder's mean, spread and picture (Kingma & Welling, 2014)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(conv(3, 8, 3, 2), conv(8, 8, 3, 2))
        self.mean, self.spread = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
        self.decoder = nn.Sequential(
            *(nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1))
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.encoder(image)
        mean, spread = self.mean(hidden), self.spread(hidden).clamp(-10, 10).exp()
        return self.decoder(mean).sigmoid(), mean, spread


class Generator(nn.Module):
    """A picture from a style that normalizes each layer (Karras et al., "StyleGAN", 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16))
        self.start = nn.Parameter(torch.randn(1, 8, 4, 4))
        self.conv, self.color = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 3, 1)

    def forward(self, noise: Tensor) -> Tensor:
        scale, shift = self.mapping(F.normalize(noise, dim=1))[..., None, None].chunk(2, 1)
        x = F.interpolate(self.start, scale_factor=2, mode="nearest")
        x = F.instance_norm(self.conv(x).expand(noise.shape[0], -1, -1, -1))
        return self.color(F.leaky_relu((1 + scale) * x + shift, 0.2)).tanh()


class Boxes(nn.Module):
    """A detector without anchors: its five best boxes, decoded from a grid."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 8, 3, 4), conv(8, 8, 3, 2))
        self.scores, self.sides = nn.Conv2d(8, 3, 1), nn.Conv2d(8, 4, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.body(image)
        rows = torch.arange(x.shape[2], device=x.device, dtype=x.dtype)
        columns = torch.arange(x.shape[3], device=x.device, dtype=x.dtype)
        y, z = torch.meshgrid(rows, columns, indexing="ij")
        centre = 8 * torch.stack([z, y], -1).reshape(1, -1, 2) + 4
        sides = self.sides(x).flatten(2).transpose(1, 2).exp() * 8
        boxes = torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], -1)
        best, label = self.scores(x).flatten(2).transpose(1, 2).sigmoid().max(-1)
        score, index = best.topk(5, dim=1)
        found = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        return found, score, label.gather(1, index)


class Flow(nn.Module):
    """Optical flow from all-pairs correlation, and the picture warped by it (RAFT, 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = conv(3, 8, 3, 4)
        self.head = nn.Conv2d(9, 2, 3, padding=1)

    def forward(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        one, two = self.features(before), self.features(after)
        batch, channels, height, width = one.shape
        match = torch.einsum("nci,ncj->nij", one.flatten(2), two.flatten(2)) / channels**0.5
        best = match.softmax(-1).amax(-1).view(batch, 1, height, width)
        flow = self.head(torch.cat([one - two, best], 1)).tanh()
        flow = F.interpolate(flow, before.shape[2:], mode="bilinear", align_corners=True)
        rows = torch.linspace(-1, 1, before.shape[2])
        columns = torch.linspace(-1, 1, before.shape[3])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        grid = torch.stack([x, y], -1) + 0.1 * flow.permute(0, 2, 3, 1)
        return flow, F.grid_sample(after, grid, align_corners=True)


class Denoiser(nn.Module):
    """A denoiser with sinusoidal time embedding and low-resolution attention (DDPM, 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 16))
        self.enter, self.down = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, 2, 1)
        self.norm, self.qkv = nn.GroupNorm(4, 16), nn.Conv2d(16, 48, 1)
        self.leave = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, image: Tensor, step: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(8) * -1.0)
        angles = step[:, None].float() * rates[None]
        time_embedding = self.time(torch.cat([angles.sin(), angles.cos()], 1))
        high = self.enter(image) + time_embedding[..., None, None]
        low = self.down(F.silu(self.norm(high)))
        q, k, v = self.qkv(low).flatten(2).chunk(3, 1)
        weights = (q.transpose(1, 2) @ k / 4).softmax(-1)
        low = low + (v @ weights.transpose(1, 2)).view_as(low)
        return self.leave(high + F.interpolate(low, high.shape[2:], mode="nearest"))
