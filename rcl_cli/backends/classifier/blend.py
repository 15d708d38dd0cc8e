"""Two networks of one architecture that answer together: the mean of their scores.

A head on frozen features and a network that was fine-tuned err at different images, those of small sets above all. What
both have in common, the first stages where fine-tuning left them alone, runs and is kept once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from rcl_cli.backends.classifier.backbones import stages
from rcl_cli.backends.classifier.run import ClassifierNet

_TUNED, _PROBE = "tuned.", "probe."
Tensors = Mapping[str, torch.Tensor]


def joined(tuned: Tensors, probe: Tensors) -> dict[str, torch.Tensor]:
    """Both networks' tensors in one file; what is the same stands there once."""
    own = {name: one for name, one in probe.items() if not torch.equal(one, tuned[name])}
    return {_TUNED + name: one for name, one in tuned.items()} | {_PROBE + name: one for name, one in own.items()}


def is_joined(tensors: Tensors) -> bool:
    """Whether a file has two networks."""
    return any(name.startswith(_PROBE) for name in tensors)


def parted(tensors: Tensors) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What `joined` joined: the fine-tuned network's tensors, and those of the one with the fitted head."""
    tuned = {name.removeprefix(_TUNED): one for name, one in tensors.items() if name.startswith(_TUNED)}
    own = {name.removeprefix(_PROBE): one for name, one in tensors.items() if name.startswith(_PROBE)}
    return tuned, {**tuned, **own}


class BlendNet(nn.Module):
    """As `ClassifierNet`: pixels in, the mean of two networks' scores out.

    Args:
        one, other: with the same preprocessing.
    """

    def __init__(self, one: ClassifierNet, other: ClassifierNet) -> None:
        super().__init__()
        shared = _shared_stages(one.network, other.network)
        self.one = one
        self.trunk = stages(one.network)[:shared]
        self.tails = nn.ModuleList([_without(net.network, shared) for net in (one, other)])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        images = pixels.permute(0, 3, 1, 2).to(self.one.mean.dtype) / 255
        common = self.trunk((images - self.one.mean) / self.one.std)
        first, second = (self.one.scores(tail(common)) for tail in self.tails)
        return (first + second) / 2


def _shared_stages(one: nn.Module, other: nn.Module) -> int:
    """How many of the first stages are the same in both."""
    count = 0
    for mine, theirs in zip(stages(one), stages(other), strict=True):
        pairs = zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True)
        if not all(torch.equal(a, b) for a, b in pairs):
            break
        count += 1
    return count


def _without(network: nn.Module, count: int) -> nn.Module:
    """The same network, sharing all that it has, but for its first stages."""
    if not count:
        return network
    tail = copy.copy(network)
    tail._modules = {**network._modules, "features": stages(network)[count:]}
    return tail
