"""Active learning: the image that is labelled next is the one with the highest score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from monai_mae_ext.label.scoring import Scores

__all__ = ["HighestScore"]


class HighestScore(Strategy):
    """Of the images without label, those that nobody was given yet come first, the highest score before others.

    When all were given to someone, the one that was longest ago. Images without score come last.
    """

    def __init__(self, method: str, scores: Scores) -> None:
        super().__init__(f"Highest {method} first")
        self.scores = scores

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        scores = {image: known["score"] for image, known in self.scores.read().items()}

        def order(image: str) -> tuple[float, float, str]:
            served = datastore.get_image_info(image).get("strategy", {}).values()
            score = scores.get(image)
            return max((one["ts"] for one in served), default=0), math.inf if score is None else -score, image

        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        if not images:
            return None
        image = min(images, key=order)
        return {"id": image, "score": scores.get(image)}
