"""Is it learning? A label-free answer at each validation."""

from __future__ import annotations

import logging

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.losses.reconstruction import MaskedReconstructionLoss, normalize_tokens
from monai_mae_ext.metrics.health import effective_rank, linear_readability, neighbour_means, trivial_losses
from monai_mae_ext.networks.mae import MaskedAutoencoder, random_twin
from monai_mae_ext.networks.tokens import gather_tokens, patchify, token_grid

__all__ = ["LearningHealth"]

# A random encoder's features are projections of pixels and hence very readable: learnt ones may trade some of that.
TOLERATED_LOSS = 0.1


class LearningHealth:
    """At each validation, compare the encoder with a freshly initialised one and the loss with trivial predictors.

    Adds to the evaluator's metrics:

    - ``loss_model`` beside ``loss_visible_mean`` and ``loss_position_only`` (two predictors that understand nothing);
    - ``rank`` and ``rank_random``: effective rank of the visible tokens' features;
    - ``readable_own``, ``readable_own_random``: how well a patch is linearly readable from its own token's feature;
    - ``readable_around``, ``readable_around_random``: the same for the mean brightness of its neighbours, most of which
      the encoder did not see.

    and logs a verdict. The encoder counts as *better than random* when its loss is below both trivial ones, its rank
    is not below the random encoder's, the surroundings of a patch are more readable, and at most a tenth of the
    readability of the patch itself is lost. Where the batch tells what is ``valid``, nothing else counts: neither
    padding nor background.

    Args:
        network: the bare network. Its random twin has the same architecture and always the same weights.
        loss: the training loss (decides about raw or normalised targets).
        max_images: validation images to look at.
    """

    def __init__(self, network: MaskedAutoencoder, loss: MaskedReconstructionLoss, max_images: int = 64) -> None:
        self.network = network
        self.loss = loss
        self.max_images = max_images
        self.twin = random_twin(network)
        self.batches: list[dict[str, Tensor]] = []
        self.losses: list[Tensor] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.reset)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.judge)

    def reset(self, engine: Workflow) -> None:
        self.batches, self.losses = [], []

    def collect(self, engine: Workflow) -> None:
        if sum(len(batch["image"]) for batch in self.batches) < self.max_images:
            output = engine.state.output
            label = output["label"]
            batch = {key: label[key] for key in ("image", "visible", "hidden")}
            self.batches.append(batch | {"valid": label.get("valid", torch.ones_like(label["image"][:, :1]))})
            self.losses.append(self.loss(output["pred"], label) * len(label["image"]))

    def judge(self, engine: Workflow) -> None:
        """Every process looks at its own images, since all of them may be needed to compute; the first one tells."""
        if sum(len(batch["image"]) for batch in self.batches) < 2:
            self.logger.warning("is it learning? one validation image cannot tell: validate on more")
            return
        figures = self.figures()
        if idist.get_rank() == 0:
            engine.state.metrics.update(figures)
            self.logger.info(verdict(figures))

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """All figures over the collected images."""
        image, visible, hidden, valid = (
            torch.cat([batch[key] for batch in self.batches]) for key in ("image", "visible", "hidden", "valid")
        )
        grid = token_grid(self.network.img_size, self.network.patch_size)
        tokens = patchify(image.float(), self.network.patch_size)
        targets = normalize_tokens(tokens) if self.loss.normalize_targets else tokens
        counts = patchify(valid.float().expand_as(image), self.network.patch_size)
        n_tokens = tokens.shape[1]
        mean, position = trivial_losses(targets, chosen(visible, n_tokens), chosen(hidden, n_tokens), counts)
        judged = gather_tokens(counts, visible).any(-1)
        own = gather_tokens(tokens, visible)[judged]
        around = gather_tokens(neighbour_means(tokens, grid), visible)[judged]
        groups = torch.arange(len(image), device=image.device)[:, None].expand_as(judged)[judged]
        figures = {
            "loss_model": sum(float(loss) for loss in self.losses) / len(image),
            "loss_visible_mean": mean,
            "loss_position_only": position,
        }
        for suffix, network in (("", self.network), ("_random", self.twin.to(image.device))):
            features = self.features(network, visible.shape[1])[judged]
            figures[f"rank{suffix}"] = effective_rank(features)
            figures[f"readable_own{suffix}"] = linear_readability(features, own, groups)
            figures[f"readable_around{suffix}"] = linear_readability(features, around, groups)
        return figures

    def features(self, network: MaskedAutoencoder, n_visible: int) -> Tensor:
        """Features of the visible patches (without the class token), ``(images, K, width)``."""
        was_training = network.training
        network.eval()
        parts = [network.encoder(batch["image"].float(), batch["visible"])[:, -n_visible:] for batch in self.batches]
        network.train(was_training)
        return torch.cat(parts).float()


def chosen(index: Tensor, n_tokens: int) -> Tensor:
    """Indices ``(B, K)`` as a bool mask ``(B, n_tokens)``."""
    return torch.zeros(len(index), n_tokens, dtype=torch.bool, device=index.device).scatter(1, index, True)


def verdict(figures: dict[str, float]) -> str:
    """One line: better than random, or not yet and why."""
    loss, rank, own, around = (figures[name] for name in ("loss_model", "rank", "readable_own", "readable_around"))
    random_rank, random_own, random_around = (
        figures[f"{name}_random"] for name in ("rank", "readable_own", "readable_around")
    )
    faults = [
        f"loss {loss:.4f} is not below {name} {figures[name]:.4f}"
        for name in ("loss_visible_mean", "loss_position_only")
        if loss >= figures[name]
    ]
    if rank < random_rank:
        faults.append(f"effective rank {rank:.1f} is below a random encoder's {random_rank:.1f}")
    if around <= random_around:
        faults.append(f"a patch's surroundings are not more readable: {around:.3f}, at random {random_around:.3f}")
    if own < (1 - TOLERATED_LOSS) * random_own:
        faults.append(f"patch content is thrown away: readable {own:.3f}, at random {random_own:.3f}")
    if faults:
        return "NOT YET BETTER THAN A RANDOM ENCODER, do not fine-tune from it: " + "; ".join(faults)
    return (
        f"better than a random encoder: loss {loss:.4f} (visible mean {figures['loss_visible_mean']:.4f}, "
        f"position only {figures['loss_position_only']:.4f}), effective rank {rank:.1f} ({random_rank:.1f}), "
        f"surroundings readable {around:.3f} ({random_around:.3f}), own patch {own:.3f} ({random_own:.3f})"
    )
