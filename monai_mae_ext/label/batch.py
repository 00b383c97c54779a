"""Inference on many images, of which some may be bad."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

from monai_mae_ext.label.errors import one_line

__all__ = ["TolerantBatch"]

logger = logging.getLogger(__name__)


class TolerantBatch(BatchInferTask):
    """MONAI Label's, which goes on behind an image that fails, tells why in its result, and works without a GPU."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Callable) -> dict[str, Any]:
        def attempt(one: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                return infer(one, store)
            except Exception as error:
                logger.warning("%s is left out: %s", one["image"], one_line(error))
                return {"error": one_line(error)}

        several = request.get("multi_gpu", True) and torch.cuda.is_available()
        return super().__call__(request | {"multi_gpu": several}, datastore, attempt)
