"""What is compared: the networks' sizes, and one training step of MONAI's masked autoencoder, a plain one and ours."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from monai.networks.nets import MaskedAutoEncoderViT
from torch import Tensor, nn

from monai_mae_ext.bench.plain_mae import PlainMAE
from monai_mae_ext.host_memory import keep_freed_memory
from monai_mae_ext.losses.reconstruction import MaskedReconstructionLoss
from monai_mae_ext.networks import MaskedAutoencoder, patchify
from monai_mae_ext.transforms.masking import RandomMasking

__all__ = ["ARMS", "CASES", "Case", "TrainingStep", "training_step"]

ARMS = ("monai", "torch", "self", "cross")
THEIRS = ("monai", "torch")
MASK_RATIO = 0.75
DECODE_RATIO = {"self": 1.0, "cross": 1 / 3}


@dataclass(frozen=True)
class Case:
    """Sizes of one comparison: square or cubic one-channel images, given alike to every arm."""

    image_size: int
    batch_size: int
    hidden_size: int
    mlp_dim: int
    num_layers: int
    num_heads: int
    decoder_hidden_size: int
    decoder_mlp_dim: int
    decoder_num_layers: int
    decoder_num_heads: int
    patch_size: int = 16
    spatial_dims: int = 2

    def network(self, arm: str) -> nn.Module:
        """A fresh network: MONAI's for ``"monai"``, the paper's for ``"torch"``, else ours with the decoder ``arm``."""
        sizes = {name: value for name, value in vars(self).items() if name not in ("image_size", "batch_size")}
        sizes |= {"in_channels": 1, "img_size": self.image_size}
        if arm == "torch":
            return PlainMAE(masking_ratio=MASK_RATIO, **sizes)
        sizes |= {"qkv_bias": True}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.meshgrid")
            if arm == "monai":
                return MaskedAutoEncoderViT(masking_ratio=MASK_RATIO, **sizes)
            return MaskedAutoencoder(decoder=arm, **sizes)

    def images(self) -> Tensor:
        """A batch of noise ``(B, 1, image_size, image_size)``, or with a third side, float32 in [0, 1)."""
        return torch.rand(self.batch_size, 1, *[self.image_size] * self.spatial_dims)


CASES = {
    "cxr_224": Case(224, 8, 768, 3072, 12, 12, 512, 2048, 8, 16),
    "cxr_512": Case(512, 2, 768, 3072, 12, 12, 512, 2048, 8, 16),
    "cxr_1280": Case(1280, 1, 384, 1536, 4, 6, 192, 768, 2, 6),
    "mri_96": Case(96, 4, 768, 3072, 12, 12, 576, 2304, 8, 16, spatial_dims=3),
    "ct_128": Case(128, 1, 384, 1536, 4, 6, 192, 768, 2, 6, patch_size=8, spatial_dims=3),
    "smoke": Case(64, 2, 24, 48, 2, 2, 16, 32, 1, 2),
}


class TrainingStep:
    """Call it for one training step: draw masks, forward, loss, backward, AdamW.

    The arm ``"self"`` predicts all hidden tokens, ``"cross"`` a third of them, which is a quarter of all. Every arm has
    the same fused optimiser, so that its fixed cost blurs the comparison of the networks as little as possible.
    """

    def __init__(self, case: Case, arm: str, device: torch.device) -> None:
        self.arm = arm
        self.network = case.network(arm).to(device)
        self.images = case.images().to(device)
        self.patch_size = [case.patch_size] * case.spatial_dims
        if arm not in THEIRS:
            self.masking = RandomMasking(case.patch_size, MASK_RATIO, DECODE_RATIO[arm])
            self.criterion = MaskedReconstructionLoss(case.patch_size, normalize_targets=False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=device.type != "meta"
        )

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def predict(self) -> tuple[Tensor, Tensor]:
        """Draw masks and predict: their tokens ``(B, N, P)`` and mask ``(B, N)``; our image and ``hidden (B, M)``."""
        if self.arm in THEIRS:
            return self.network(self.images)
        masks = [self.masking(image) for image in self.images]
        visible, hidden = (torch.stack(index).to(self.images.device) for index in zip(*masks, strict=True))
        return self.network(self.images, visible, hidden), hidden

    def loss(self) -> Tensor:
        """Mean squared error on the hidden tokens; for the others as their users have to write it."""
        predicted, hidden = self.predict()
        if self.arm not in THEIRS:
            return self.criterion(predicted, {"image": self.images, "hidden": hidden})
        error = (predicted - patchify(self.images, self.patch_size)).square().mean(-1)
        return (error * hidden).sum() / hidden.sum()


def training_step(case: Case, arm: str, device: torch.device) -> TrainingStep:
    """A ``TrainingStep`` of a process that keeps what its steps free, as those of the bundles' trainings do."""
    keep_freed_memory(device)
    return TrainingStep(case, arm, device)
