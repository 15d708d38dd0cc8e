"""Stage one of a classifier's training: a linear head on frozen features, a usable model in seconds."""

from __future__ import annotations

import torch
from torch import nn

from rcl_cli.backends.classifier.features import Extractor
from rcl_cli.backends.classifier.run import Best, ClassifierNet, Data, Run, class_weights, loss_of
from rcl_cli.domain import Progress

_HEAD_L2 = (1e-4, 1e-3, 1e-2, 1e-1)
_TURNED_SHARE = 0.85


def _fit_linear(
    features: torch.Tensor, targets: torch.Tensor, l2: float, start: nn.Linear | None, *, multi_label: bool
) -> nn.Linear:
    """The best linear layer, looked for from another one."""
    head = nn.Linear(features.shape[1], targets.shape[1])
    if start is None:
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    else:
        head.load_state_dict(start.state_dict())
    weights = class_weights(targets, multi_label=multi_label)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=150, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(head(features), targets, weights, multi_label=multi_label) + l2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return head


def way_up_matters(run: Run, net: ClassifierNet, extractor: Extractor) -> bool:
    """Whether the head does clearly worse on upside-down holdout images: then fine-tuning must not turn any.

    Things seen from above have no right way up, hand signs and scenes do; the data tells which it is.

    Args:
        net: with the fitted head.
    """
    head = next(m for m in reversed(list(net.network.modules())) if isinstance(m, nn.Linear))

    def quality(data: Data) -> float:
        features = extractor(data).to(head.weight.device)
        with torch.inference_mode():
            return run.quality(net.scores(head(features)).cpu())[0]

    turned = quality(Data(run.holdout.images.flip(2), run.holdout.targets))
    return turned < _TURNED_SHARE * quality(run.holdout)


def fit_head(run: Run, net: ClassifierNet, head: nn.Linear, extractor: Extractor) -> Best:
    """Fit heads of several strengths on cached features and keep the best on the holdout."""
    train, holdout = extractor(run.train), extractor(run.holdout)
    mean, std = train.mean(0), train.std(0, correction=0).clamp(min=1e-3)
    train, holdout = (train - mean) / std, (holdout - mean) / std
    best: tuple[tuple[float, float], nn.Linear, float, torch.Tensor] | None = None
    fitted: nn.Linear | None = None
    # From strong to weak: each starts where the last one ended.
    for number, l2 in enumerate(sorted(_HEAD_L2, reverse=True), 1):
        run.check_cancelled()
        fitted = _fit_linear(train, run.train.targets, l2, fitted, multi_label=run.plan.multi_label)
        with torch.inference_mode():
            scores = net.scores(fitted(holdout))
            quality = run.quality(scores)
        run.report(Progress("head", number, len(_HEAD_L2), metric=run.metric_name, value=quality[0]))
        if best is None or quality > best[0]:
            best = (quality, fitted, l2, scores)
    assert best is not None
    quality, fitted, l2, scores = best
    with torch.no_grad():
        # Standardisation folds into the layer, so the network takes plain features.
        head.weight.copy_(fitted.weight / std)
        head.bias.copy_(fitted.bias - (fitted.weight / std) @ mean)
    state = {k: v.detach().cpu().clone() for k, v in net.network.state_dict().items()}
    return Best(state, quality, f"linear head on frozen features, L2 {l2:g}", scores.clone())
