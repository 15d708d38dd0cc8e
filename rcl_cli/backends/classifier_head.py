"""Stage one of a classifier's training: a linear head on frozen features, a usable model in seconds."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from rcl_cli.backends.classifier_run import (
    EVAL_BATCH,
    Best,
    ClassifierNet,
    Data,
    Run,
    class_weights,
    eval_images,
    loss_of,
)
from rcl_cli.domain import Progress

_HEAD_L2 = (1e-4, 1e-3, 1e-2, 1e-1)
_TURNED_SHARE = 0.85


@torch.inference_mode()
def features_of(run: Run, net: ClassifierNet, data: Data) -> torch.Tensor:
    """Pooled features (N, F): what enters the last linear layer."""
    net.eval()
    caught: list[torch.Tensor] = []
    head = next(m for m in reversed(list(net.network.modules())) if isinstance(m, nn.Linear))
    hook = head.register_forward_pre_hook(lambda _module, inputs: caught.append(inputs[0].float().cpu()))
    try:
        for start in range(0, len(data), EVAL_BATCH):
            run.check_cancelled()
            batch = eval_images(data, slice(start, start + EVAL_BATCH), run.plan.image_size, run.device)
            net.network(net.normalised(batch))
            run.report(Progress("features", min(start + EVAL_BATCH, len(data)), len(data)))
    finally:
        hook.remove()
    return torch.cat(caught)


def _fit_linear(features: torch.Tensor, targets: torch.Tensor, l2: float, *, multi_label: bool) -> nn.Linear:
    head = nn.Linear(features.shape[1], targets.shape[1])
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    weights = class_weights(targets, multi_label=multi_label)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=150, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(head(features), targets, weights, multi_label=multi_label) + l2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head


def _way_up_matters(run: Run, net: ClassifierNet, fitted: nn.Linear, scale: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Whether the head does clearly worse on upside-down holdout images: then fine-tuning must not turn any.

    Things seen from above have no right way up, hand signs and scenes do; the data tells which it is.
    """
    flipped = Data(run.holdout.images.flip(2), run.holdout.targets)
    features = features_of(run, net, flipped)
    with torch.inference_mode():
        turned = run.quality(net.scores(fitted((features - scale[0]) / scale[1])))[0]
        upright = run.quality(net.scores(fitted((features_of(run, net, run.holdout) - scale[0]) / scale[1])))[0]
    return turned < _TURNED_SHARE * upright


def fit_head(run: Run, net: ClassifierNet, head: nn.Linear) -> Best:
    """Fit heads of several strengths on cached features and keep the best on the holdout."""
    train, holdout = features_of(run, net, run.train), features_of(run, net, run.holdout)
    mean, std = train.mean(0), train.std(0, correction=0).clamp(min=1e-3)
    best: tuple[tuple[float, float], nn.Linear, float] | None = None
    for l2 in _HEAD_L2:
        run.check_cancelled()
        fitted = _fit_linear((train - mean) / std, run.train.targets, l2, multi_label=run.plan.multi_label)
        with torch.inference_mode():
            quality = run.quality(net.scores(fitted((holdout - mean) / std)))
        run.report(Progress("head", _HEAD_L2.index(l2) + 1, len(_HEAD_L2), metric=run.metric_name, value=quality[0]))
        if best is None or quality > best[0]:
            best = (quality, fitted, l2)
    assert best is not None
    quality, fitted, l2 = best
    any_way_up = not _way_up_matters(run, net, fitted, (mean, std))
    run.augmentation = replace(run.augmentation, any_way_up=any_way_up)
    with torch.no_grad():
        # Standardisation folds into the layer, so the network takes plain features.
        head.weight.copy_(fitted.weight / std)
        head.bias.copy_(fitted.bias - (fitted.weight / std) @ mean)
    state = {k: v.detach().cpu().clone() for k, v in net.network.state_dict().items()}
    return Best(state, quality, f"linear head on frozen features, L2 {l2:g}")
