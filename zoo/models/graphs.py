"""PyTorch Geometric: message passing, which is gathering and scattering along edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from modelport import Dim, Recipe
from zoo.entry import Entry, integers, numbers, seeded

WIDTH = 8
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "GCNConv": {},
    "SAGEConv": {},
    "GATConv": {"heads": 2, "concat": False},
    "GATv2Conv": {"heads": 2, "concat": False},
    "GraphConv": {},
    "ChebConv": {"K": 2},
    "TAGConv": {"K": 2},
    "TransformerConv": {"heads": 2, "concat": False},
    "ARMAConv": {},
    "SGConv": {"K": 2},
    "FeaStConv": {},
    "ResGatedGraphConv": {},
    "LEConv": {},
    "ClusterGCNConv": {},
    "GENConv": {},
}
"""Options of the convolutions that take features and edges."""


class _Net(nn.Module):
    """Two convolutions over a graph."""

    def __init__(self, build: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.first = build(WIDTH, 16, **options)
        self.second = build(16, 4, **options)

    def forward(self, x: Any, edges: Any) -> Any:
        return self.second(torch.relu(self.first(x, edges)), edges)


class _Isomorphism(nn.Module):
    """GIN with a readout that sums each graph of the batch."""

    def __init__(self) -> None:
        from torch_geometric.nn import GINConv

        super().__init__()
        layers = nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 16)
        self.conv = GINConv(nn.Sequential(*layers))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Any, edges: Any, graph: Any) -> Any:
        from torch_geometric.nn import global_add_pool

        return self.head(global_add_pool(self.conv(x, edges), graph, size=3))


class _EdgeFeatures(nn.Module):
    """Convolution with features on the edges."""

    def __init__(self, name: str) -> None:
        import torch_geometric.nn as library

        super().__init__()
        if name == "NNConv":
            self.conv = library.NNConv(WIDTH, 6, nn.Linear(3, WIDTH * 6))
        elif name == "CGConv":
            self.conv = library.CGConv(WIDTH, dim=3)
        else:
            self.conv = library.GINEConv(nn.Linear(WIDTH, 6), edge_dim=3)

    def forward(self, x: Any, edges: Any, features: Any) -> Any:
        return self.conv(x, edges, features)


class _Points(nn.Module):
    """EdgeConv over given neighbours (DGCNN with a fixed graph)."""

    def __init__(self) -> None:
        from torch_geometric.nn import EdgeConv

        super().__init__()
        self.conv = EdgeConv(nn.Sequential(nn.Linear(2 * WIDTH, 16), nn.ReLU()), aggr="max")

    def forward(self, x: Any, edges: Any) -> Any:
        return self.conv(x, edges)


def _graph(nodes: int = 10, edges: int = 30, seed: int = 5) -> tuple[Any, ...]:
    return numbers(nodes, WIDTH, seed=seed), integers(nodes, 2, edges, seed=seed)


_AXES = {"x": {0: Dim("nodes", 10, 40)}, "edges": {1: Dim("edges", 4, 120)}}


def _rule(rng: Any, shape: tuple[int, ...]) -> Any:
    return rng.integers(0, 10, shape)


def _plain(name: str) -> Recipe:
    import torch_geometric.nn as library

    if name == "EdgeConv":
        model = seeded(_Points)
    else:
        model = seeded(_Net, getattr(library, name), CONVOLUTIONS[name])
    return Recipe(model, _graph(), dynamic=_AXES, values={"edges": _rule})


def _pooled() -> Recipe:
    graphs = torch.arange(10) * 3 // 10
    axes = {**_AXES, "graph": {0: _AXES["x"][0]}}
    values = {"edges": _rule, "graph": lambda rng, shape: rng.integers(0, 3, shape)}
    return Recipe(seeded(_Isomorphism), (*_graph(), graphs), dynamic=axes, values=values)


def _featured(name: str) -> Recipe:
    args = (*_graph(), numbers(30, 3))
    axes = {**_AXES, "features": {0: _AXES["edges"][1]}}
    return Recipe(seeded(_EdgeFeatures, name), args, dynamic=axes, values={"edges": _rule})


def entries() -> list[Entry]:
    """The models."""
    names = (*CONVOLUTIONS, "EdgeConv")
    found = [Entry(f"geometric/{name}", lambda n=name: _plain(n)) for name in names]
    found.append(Entry("geometric/GINConv", _pooled))
    for name in ("NNConv", "CGConv", "GINEConv"):
        found.append(Entry(f"geometric/{name}", lambda n=name: _featured(n)))
    return found
