"""Points, graphs, tables, and pairs of things."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor


class Points(nn.Module):
    """A set of points, turned by a matrix of its own, and its maxima (Qi et al., "PointNet")."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Sequential(nn.Conv1d(3, 16, 1), nn.ReLU(), nn.Conv1d(16, 9, 1))
        self.body = nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, points: Tensor) -> Tensor:
        turn = self.turn(points.transpose(1, 2)).amax(2).view(-1, 3, 3) + torch.eye(3)
        return self.head(self.body((points @ turn).transpose(1, 2)).amax(2))


class Neighbours(nn.Module):
    """Features of the four nearest points, by distance (Wang et al., "DGCNN", 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.edge, self.head = nn.Linear(6, 16), nn.Linear(16, 5)

    def forward(self, points: Tensor) -> Tensor:
        near = torch.cdist(points, points).topk(4, dim=-1, largest=False).indices
        batch = torch.arange(points.shape[0])[:, None, None]
        others = points[batch, near]
        own = points[:, :, None].expand_as(others)
        edges = F.relu(self.edge(torch.cat([own, others - own], -1)))
        return self.head(edges.amax(2).mean(1))


class Messages(nn.Module):
    """Means of neighbours along edges, scattered (Hamilton et al., "GraphSAGE", 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.other, self.head = nn.Linear(6, 12), nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        source, goal = edges[0], edges[1]
        sent = nodes.index_select(0, source)
        total = torch.zeros_like(nodes).index_add(0, goal, sent)
        count = torch.zeros(nodes.shape[0]).scatter_add(0, goal, torch.ones(goal.shape[0]))
        mean = total / count.clamp(min=1)[:, None]
        return self.head(F.relu(self.own(nodes) + self.other(mean)))


class Attention(nn.Module):
    """Attention over neighbours: a softmax along scattered edges (Velickovic et al., 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.values, self.scores = nn.Linear(6, 8), nn.Linear(16, 1)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        source, goal = edges[0], edges[1]
        x = self.values(nodes)
        score = F.leaky_relu(self.scores(torch.cat([x[source], x[goal]], 1))[:, 0], 0.2)
        most = torch.full((nodes.shape[0],), -1e9).scatter_reduce(0, goal, score, "amax")
        weight = (score - most[goal]).exp()
        total = torch.zeros(nodes.shape[0]).scatter_add(0, goal, weight)
        share = weight / total[goal].clamp(min=1e-9)
        where = goal[:, None].expand(-1, x.shape[1])
        return torch.zeros_like(x).scatter_add(0, where, share[:, None] * x[source])


class Table(nn.Module):
    """Categories and numbers, crossed and mixed (Guo et al., "DeepFM", 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = nn.ModuleList(nn.Embedding(size, 6) for size in (10, 7, 5))
        self.deep = nn.Sequential(nn.Linear(22, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        rows = torch.stack([field(categories[:, i]) for i, field in enumerate(self.fields)], 1)
        crossed = 0.5 * (rows.sum(1).square() - rows.square().sum(1)).sum(1, keepdim=True)
        return (crossed + self.deep(torch.cat([rows.flatten(1), numbers], 1))).sigmoid()


class Towers(nn.Module):
    """Pictures and texts in one space, compared all with all (Radford et al., "CLIP", 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.GELU(), nn.Conv2d(8, 8, 4, 4))
        self.words = nn.Embedding(50, 8)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, pictures: Tensor, texts: Tensor) -> Tensor:
        one = F.normalize(self.picture(pictures).mean((2, 3)), dim=-1)
        two = F.normalize(self.words(texts).mean(1), dim=-1)
        return self.scale.exp() * one @ two.T


class Experts(nn.Module):
    """Each row goes to its two best experts (Shazeer et al., 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(8, 4)
        self.one, self.two = (
            nn.Parameter(torch.randn(4, 8, 16)),
            nn.Parameter(torch.randn(4, 16, 8)),
        )

    def forward(self, rows: Tensor) -> Tensor:
        weight, index = self.gate(rows).softmax(-1).topk(2, dim=-1)
        share = torch.zeros(rows.shape[0], 4).scatter(1, index, weight)
        hidden = F.relu(torch.einsum("nd,edh->neh", rows, self.one))
        return torch.einsum("neh,ehd,ne->nd", hidden, self.two, share)


class Sparse(nn.Module):
    """Keeps the rows with a positive score: as many as there are."""

    def __init__(self) -> None:
        super().__init__()
        self.score, self.body = nn.Linear(6, 1), nn.Linear(6, 4)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        kept = (self.score(rows)[:, 0] > 0).nonzero()[:, 0]
        return self.body(rows[kept]), kept
