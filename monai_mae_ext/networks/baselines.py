"""MONAI's autoencoders behind the masked autoencoder's call, so that both can be trained and judged alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monai.networks.nets import VQVAE, AutoEncoder, VarAutoEncoder
from torch import Tensor, nn

from monai_mae_ext.errors import UserError

__all__ = ["BaselineAutoencoder"]


class BaselineAutoencoder(nn.Module):
    """An autoencoder, a variational (VAE) or a vector-quantised (VQ-VAE) one, which sees every voxel.

    While training the forward pass returns ``(reconstruction, penalty)``, which ``AutoencoderLoss`` takes; else the
    reconstruction alone, from the posterior's mean in the VAE's case. The penalty is 0, the Kullback-Leibler divergence
    from the normal distribution per voxel, or the quantisation loss.

    Args:
        kind: "ae", "vae" or "vqvae".
        spatial_dims: 2 or 3.
        in_channels: image channels.
        img_size: spatial size, a multiple of ``2 ** len(channels)``; one entry an axis.
        channels: of the levels, each of half the size of the one before.
        latent_size: of the VAE's dense code.
        num_embeddings, embedding_dim: the VQ-VAE's codebook.
        num_res_units: residual units a level.
        norm: MONAI's name of the AE's and the VAE's norm layers; the VQ-VAE has none. "instance" is MONAI's default,
            and forgets how bright an image is.

    Raises:
        UserError: for an unknown kind, or an image that cannot be halved once a level.
    """

    def __init__(
        self,
        kind: str,
        spatial_dims: int,
        in_channels: int,
        img_size: Sequence[int],
        channels: Sequence[int],
        latent_size: int = 128,
        num_embeddings: int = 512,
        embedding_dim: int = 64,
        num_res_units: int = 1,
        norm: str = "batch",
    ) -> None:
        facts = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.facts = facts
        self.kind = kind
        if any(side % 2 ** len(channels) for side in img_size):
            raise UserError(
                f"an image of {list(img_size)} cannot be halved {len(channels)} times: choose fewer channels"
            )
        levels: dict[str, Any] = {"channels": channels, "strides": [2] * len(channels), "num_res_units": num_res_units}
        if kind == "ae":
            self.network: nn.Module = AutoEncoder(spatial_dims, in_channels, in_channels, norm=norm, **levels)
        elif kind == "vae":
            shape = (in_channels, *img_size)
            self.network = VarAutoEncoder(
                spatial_dims, shape, in_channels, latent_size, norm=norm, use_sigmoid=False, use_mean_at_inference=True,
                **levels,
            )  # fmt: skip
        elif kind == "vqvae":
            self.network = VQVAE(
                spatial_dims, in_channels, in_channels, channels, num_res_units, list(channels),
                [(2, 4, 1, 1)] * len(channels), [(2, 4, 1, 1, 0)] * len(channels), num_embeddings, embedding_dim,
                ddp_sync=False,
            )  # fmt: skip
        else:
            raise UserError(f"kind is 'ae', 'vae' or 'vqvae', not {kind!r}")

    def forward(self, image: Tensor, visible: Tensor | None = None, hidden: Tensor | None = None) -> Any:
        """Reconstruct ``image (B, C, *S)``; token indices, which a masked autoencoder gets, are not looked at."""
        output = self.network(image)
        if self.kind == "ae":
            reconstruction, penalty = output, output.new_zeros(())
        elif self.kind == "vae":
            reconstruction, mean, log_variance, _ = output
            penalty = kl_divergence(mean, log_variance).mean() / image[0].numel()
        else:
            reconstruction, penalty = output
        return (reconstruction, penalty) if self.training else reconstruction


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Divergence of ``N(mean, exp(log_variance))`` from ``N(0, 1)``, summed over a code: ``(B, D)`` to ``(B,)``."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)
