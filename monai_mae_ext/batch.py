"""From a loader's batch to the network's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from monai_mae_ext.reports.tokenizer import PADDING

__all__ = ["PrepareLabelledBatch", "PrepareMaskedBatch", "PrepareReportBatch"]


class PrepareMaskedBatch(PrepareBatch):
    """``prepare_batch`` of MONAI's engines for masked autoencoders.

    Gives ``(image, label, (visible, hidden), {})`` with ``label = {"image", "visible", "hidden"}`` (and ``"valid"``, if
    the batch tells padding from volume), so that the network gets its index tensors and the loss its targets. Where the
    batch has a ``target``, that is the label's ``image``: the network's input then lacks something that it is to
    predict. A batch without masks, such as whole volumes for an inferer that masks, gives the network no more than the
    image. Images leave as plain tensors: metadata tensors would slow every operation of the network down.
    """

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, ...], dict]:
        label = {
            key: batchdata[key].as_subclass(Tensor).to(device=device, non_blocking=non_blocking, **kwargs)
            for key in ("image", "visible", "hidden", "valid", "target")
            if key in batchdata
        }
        image = label["image"]
        label["image"] = label.pop("target", image)
        masks = (label["visible"], label["hidden"]) if "visible" in label else ()
        return image, label, masks, {}


class PrepareLabelledBatch(PrepareBatch):
    """``prepare_batch`` of MONAI's engines for classifiers: ``(image, label)`` as plain tensors.

    ``label`` is None where the batch has none (inference).

    Args:
        image_key, label_key: items of the batch.
    """

    def __init__(self, image_key: str = "image", label_key: str = "label") -> None:
        self.keys = image_key, label_key

    def __call__(
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        image, label = (
            batchdata[key].as_subclass(Tensor).to(device=device, non_blocking=non_blocking, **kwargs)
            if key in batchdata
            else None
            for key in self.keys
        )
        return image, label  # type: ignore[return-value]


class PrepareReportBatch(PrepareLabelledBatch):
    """``prepare_batch`` of MONAI's engines for report generators: ``(image, next tokens, (tokens,), {})``.

    Tokens ``(B, T)`` are cut where the longest report of the batch ends, before they leave the loader's memory. Each
    is to predict the next. A batch without ``tokens`` (inference) gives the network the image alone, and no label.
    """

    def __call__(  # type: ignore[override]
        self,
        batchdata: Mapping[str, Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...], dict]:
        image, _ = super().__call__(batchdata, device, non_blocking, **kwargs)
        if "tokens" not in batchdata:
            return image, None, (), {}
        tokens = batchdata["tokens"]
        longest = max((tokens != PADDING).sum(dim=1).tolist())
        tokens = tokens[:, :longest].to(device=device, non_blocking=non_blocking)
        return image, tokens[:, 1:], (tokens[:, :-1],), {}
