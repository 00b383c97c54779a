"""A tiny trainer and evaluator on random images, built as the bundle builds them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from monai.data import CacheDataset, DataLoader
from monai.data.meta_tensor import MetaTensor
from monai.engines import SupervisedEvaluator, SupervisedTrainer

from monai_mae_ext.batch import PrepareMaskedBatch
from monai_mae_ext.losses import MaskedReconstructionLoss
from monai_mae_ext.networks import MaskedAutoencoder
from monai_mae_ext.transforms import Displayd, RandomMaskingd


def tiny_network(**changes: object) -> MaskedAutoencoder:
    sizes = {"spatial_dims": 2, "in_channels": 1, "img_size": 16, "patch_size": 4, "hidden_size": 16, "mlp_dim": 32,
             "num_layers": 2, "num_heads": 2, "decoder_hidden_size": 16, "decoder_mlp_dim": 32, "decoder_num_layers": 1,
             "decoder_num_heads": 2}  # fmt: skip
    return MaskedAutoencoder(**(sizes | changes))


@pytest.fixture
def make_trainer() -> Callable[..., SupervisedTrainer]:
    """``make(handlers, epochs)``: handlers is a function of (network, optimizer, dataset)."""

    def make(handlers: Callable, epochs: int = 2, images: list[torch.Tensor] | None = None) -> SupervisedTrainer:
        torch.manual_seed(0)
        images = images or [torch.rand(1, 16, 16) for _ in range(8)]
        items = [
            {"image": MetaTensor(image, meta={"filename_or_obj": f"folder/film{index}.png"})}
            for index, image in enumerate(images)
        ]
        dataset = CacheDataset(items, RandomMaskingd("image", 4), progress=False)
        network = tiny_network()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        return SupervisedTrainer(
            "cpu", epochs, DataLoader(dataset, batch_size=4, shuffle=True), network, optimizer,
            MaskedReconstructionLoss(4, normalize_targets=False), prepare_batch=PrepareMaskedBatch(),
            train_handlers=handlers(network, optimizer, dataset), decollate=False,
        )  # fmt: skip

    return make


@pytest.fixture
def make_evaluator() -> Callable[..., SupervisedEvaluator]:
    """``make(handlers)``: an evaluator with ``Displayd`` over eight random images named ``folder/film0.png`` and so
    on."""

    def make(handlers: list, network: MaskedAutoencoder | None = None, **arguments: object) -> SupervisedEvaluator:
        torch.manual_seed(1)
        items = [
            {"image": MetaTensor(torch.rand(1, 16, 16), meta={"filename_or_obj": f"folder/film{index}.png"})}
            for index in range(8)
        ]
        dataset = CacheDataset(items, RandomMaskingd("image", 4), progress=False)
        return SupervisedEvaluator(
            "cpu", DataLoader(dataset, batch_size=3), network or tiny_network(), prepare_batch=PrepareMaskedBatch(),
            postprocessing=Displayd(4, "nothing"), val_handlers=handlers, decollate=False, **arguments,
        )  # fmt: skip

    return make
