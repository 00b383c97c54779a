"""Does an image look like the films that a classifier was validated on?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.files import write_tensors

__all__ = ["Familiarity", "require_films"]

NEIGHBOURS = 3
MAX_FILMS = 2000
QUANTILE = 0.95
MARGIN = 1.5


def require_films(count: int) -> None:
    """Refuse fewer validation films than can tell what is familiar: at once, not behind hours of training.

    Raises:
        UserError: for fewer than 5.
    """
    if count <= NEIGHBOURS + 1:
        raise UserError(
            f"{count} validation films cannot tell what is familiar: {NEIGHBOURS + 2} are needed, raise "
            "validation_fraction or name another validation_section"
        )


class Familiarity:
    """Distance of a feature to its nearest neighbours among the validation films' (Sun et al., arXiv 2204.06507).

    Features are brought to unit length; the distance is that to the third-nearest film. An image is unfamiliar when
    its distance is more than 1.5 times what 95 % of the validation films have among themselves.

    Args:
        features: ``(N, D)`` of unit length, the reference films.
        threshold: the largest familiar distance.
    """

    def __init__(self, features: Tensor, threshold: float) -> None:
        self.features, self.threshold = features, threshold

    @classmethod
    def fit(cls, features: Tensor) -> Familiarity:
        """Take ``features (N, D)`` of validation films as the reference, every n-th if there are more than 2000.

        Raises:
            UserError: for fewer than 5 films.
        """
        require_films(len(features))
        unit = F.normalize(features.float().cpu())[:: -(-len(features) // MAX_FILMS)].contiguous()
        distances = torch.cdist(unit, unit).fill_diagonal_(torch.inf)
        nearest = distances.kthvalue(NEIGHBOURS, dim=1).values
        return cls(unit, MARGIN * nearest.quantile(QUANTILE).item())

    def distance(self, features: Tensor) -> Tensor:
        """Distance ``(B,)`` of ``features (B, D)``, in [0, 2]."""
        distances = torch.cdist(F.normalize(features.float().cpu()), self.features)
        return distances.kthvalue(NEIGHBOURS, dim=1).values

    def complaints(self, features: Tensor) -> list[str | None]:
        """What to say of each of ``features (B, D)`` that is unfamiliar; None of the others."""
        return [
            f"does not look like the chest films of the validation: distance {distance:.3f}, familiar up to "
            f"{self.threshold:.3f}"
            if distance > self.threshold
            else None
            for distance in self.distance(features).tolist()
        ]

    def save(self, path: str | os.PathLike) -> None:
        """Write safetensors, atomically; the threshold is in the header."""
        write_tensors(path, {"features": self.features}, {"threshold": json.dumps(self.threshold)})

    @classmethod
    def load(cls, path: str | os.PathLike) -> Familiarity:
        """Read what ``save`` wrote.

        Raises:
            UserError: if there is no such file, or it is something else.
        """
        if not Path(path).is_file():
            raise UserError(f"no file {path}: train with this bundle first, or correct ckpt_dir")
        try:
            with safe_open(path, "pt") as file:
                return cls(file.get_tensor("features"), json.loads((file.metadata() or {})["threshold"]))
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path} holds no reference features ({error}): train with this bundle again") from error
