"""What the nearest labelled films say about a film: a classifier without training."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from monai_mae_ext.errors import UserError

__all__ = ["neighbour_scores"]

TEMPERATURE = 0.07


def neighbour_scores(reference: Tensor, labels: Tensor, features: Tensor, neighbours: int = 20) -> Tensor:
    """Weighted vote of the nearest films (Wu et al., arXiv 1805.01978, section 3.4; temperature .07).

    Features are standardised by the reference first: mean-pooled tokens of a ViT differ little beside what they share.

    Args:
        reference: ``(R, D)`` features of the labelled films.
        labels: ``(R, L)``, 0 or 1.
        features: ``(N, D)``.
        neighbours: films that vote, each with ``exp(cosine similarity / temperature)``.

    Returns:
        ``(N, L)`` in [0, 1].

    Raises:
        UserError: if there are fewer reference films than ``neighbours``, or none are asked for.
    """
    if not 1 <= neighbours <= len(reference):
        raise UserError(f"{neighbours} neighbours of {len(reference)} labelled films: choose 1 to {len(reference)}")
    mean, std = reference.mean(0), reference.std(0).clamp(min=1e-6)
    known, asked = (F.normalize((values - mean) / std) for values in (reference, features))
    similarity, nearest = (asked @ known.T).topk(neighbours)
    votes = (similarity / TEMPERATURE).softmax(1)
    return (votes[..., None] * labels[nearest].float()).sum(1)
