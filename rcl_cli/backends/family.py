"""What a model family is, told without loading what it trains with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from rcl_cli.domain import Sample

# What is found in an image: boxes, or labels of the whole.
Task = Literal["detection", "classification"]
# What trained weights may fall under.
Licence = Literal["any", "permissive"]
_PERMISSIVE = ("Apache-2.0", "BSD-3-Clause", "CC0-1.0", "MIT")


class Data(NamedTuple):
    """What a plan is made from.

    Args:
        samples: all training images.
        images: how many of them are trained on.
        multi_label: several labels may hold for one image.
        pretrained: there are weights to start from.
        memory_gib: of the GPU; 0 for the CPU.
    """

    samples: Sequence[Sample]
    images: int
    multi_label: bool
    pretrained: bool
    on_gpu: bool
    memory_gib: float


class Defaults(NamedTuple):
    """What a plan has where nobody asked for something else; `image_size` in pixels, of the longer side."""

    image_size: int
    epochs: int
    batch: int


def _no_reasons(_data: Data, _found: Defaults) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Family:
    """A model family: a folder of `backends` with this in its `family.py`, and a line in `backends/registry.py`.

    Args:
        licence: SPDX expression of what the weights of its trained models fall under.
        network: a module with `load_network(card, weights_file)`, `in_half(network)`, `example_input(card)` and
            `offers(model, device, images)`.
        trainer: `module:class`.
        predictor: `module:class`, which needs numpy and no torch.
        free: dimensions of the network's input, (N, H, W, 3), that may change, by name.
        whole_size: an image size that was asked for, in pixels, to one that the network takes.
        canvas_px: the side of the square that forms of one shape take, from the image size.
        script: of `exports/runners`, what runs its exports without rcl.
        knows: whether an architecture is one of its.
        rivals: architectures that a contest tries, where they can begin as warm as the planned one.
        defaults: what its plans have.
        reasons: why, in a sentence each, by the name of the option.
    """

    task: Task
    licence: str
    network: str
    trainer: str
    predictor: str
    free: Mapping[int, str]
    whole_size: Callable[[int], int]
    canvas_px: Callable[[int], int]
    script: str
    knows: Callable[[str], bool]
    defaults: Callable[[Data], Defaults]
    reasons: Callable[[Data, Defaults], Mapping[str, str]] = _no_reasons
    rivals: tuple[str, ...] = ()

    @property
    def is_permissive(self) -> bool:
        """Whether who uses its models need not give anything away."""
        return self.licence in _PERMISSIVE
