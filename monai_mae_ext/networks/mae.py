"""The masked autoencoder: encode what is visible, predict what is hidden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import List, Optional, TypeVar  # noqa: UP035  TorchScript reads these annotations

import torch
from monai.utils import ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.errors import UserError
from monai_mae_ext.networks.decoders import CrossDecoder, SelfDecoder
from monai_mae_ext.networks.encoder import MaskedEncoder
from monai_mae_ext.networks.tokens import scatter_tokens, token_grid, unpatchify

__all__ = ["MaskedAutoencoder", "random_twin"]

DECODERS = {"self": SelfDecoder, "cross": CrossDecoder}
Network = TypeVar("Network", bound=nn.Module)


class MaskedAutoencoder(nn.Module):
    """Masked autoencoder (He et al., arXiv 2111.06377) for 2-D and 3-D images of any channel count.

    The network masks nothing itself: which tokens are visible and which are to be predicted comes with the batch, from
    a masking transform. The forward pass is a pure function of ``(image, visible, hidden)``. ``facts`` holds the
    constructor's arguments; they travel in checkpoints and exports.

    Args:
        spatial_dims: 2 or 3.
        in_channels: image channels.
        img_size: spatial size, a multiple of ``patch_size``; one number or one an axis (need not be square).
        patch_size: one number or one an axis.
        hidden_size, mlp_dim, num_layers, num_heads: the encoder; defaults are ViT-B.
        decoder: ``"self"`` (the MAE paper's) or ``"cross"`` (CrossMAE's, cheaper when few tokens are predicted).
        decoder_hidden_size, decoder_mlp_dim, decoder_num_layers, decoder_num_heads: the decoder; the paper's defaults.
        decoder_recall: a token that is visible and predicted too starts from its own features, not from the mask token:
            for networks that learn to give visible tokens back (``PredictAll``).
        qkv_bias: biases in the attention's projections.
        positions: ``"sincos"`` (fixed) or ``"learnable"``, in both halves.
        stem: ``"linear"``, or ``"two_stage"`` for large patches (then MONAI's ``ViT`` cannot take the weights).
        cls_token: prepend a class token in the encoder.
        drop_path: stochastic depth in the encoder, rising linearly to this rate.
        norm_eps: epsilon of the encoder's layer norms (1e-6 in timm's and the original MAE's networks).
        checkpointing: trade time for memory by recomputing blocks in the backward pass.
        attention: of the encoder, ``"full"``, or ``"factorised"`` within slices and along columns in turns, which needs
            masks by ``PlaneOrAxisMasking``.

    Raises:
        UserError: if the sizes do not fit each other.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        img_size: Sequence[int] | int,
        patch_size: Sequence[int] | int,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_layers: int = 12,
        num_heads: int = 12,
        decoder: str = "self",
        decoder_hidden_size: int = 512,
        decoder_mlp_dim: int = 2048,
        decoder_num_layers: int = 8,
        decoder_num_heads: int = 16,
        decoder_recall: bool = False,
        qkv_bias: bool = True,
        positions: str = "sincos",
        stem: str = "linear",
        cls_token: bool = True,
        drop_path: float = 0.0,
        norm_eps: float = 1e-5,
        checkpointing: bool = False,
        attention: str = "full",
    ) -> None:
        facts = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        super().__init__()
        self.facts = facts
        if spatial_dims not in (2, 3):
            raise UserError(f"spatial_dims is 2 or 3, not {spatial_dims}")
        if decoder not in DECODERS:
            raise UserError(f"decoder is one of {sorted(DECODERS)}, not {decoder!r}")
        for width, heads in ((hidden_size, num_heads), (decoder_hidden_size, decoder_num_heads)):
            if width % heads:
                raise UserError(f"a width of {width} cannot be split into {heads} attention heads")
        try:
            self.img_size: List[int] = list(ensure_tuple_rep(img_size, spatial_dims))  # noqa: UP006
            self.patch_size: List[int] = list(ensure_tuple_rep(patch_size, spatial_dims))  # noqa: UP006
            grid = token_grid(self.img_size, self.patch_size)
        except ValueError as error:
            sizes = f"img_size {img_size} and patch_size {patch_size}"
            raise UserError(f"{sizes} do not fit a {spatial_dims}-D network: {error}") from error
        self.n_tokens = math.prod(grid)
        self.encoder = MaskedEncoder(
            spatial_dims, in_channels, self.img_size, self.patch_size, hidden_size, mlp_dim, num_layers, num_heads,
            qkv_bias, positions, stem, cls_token, drop_path, norm_eps, checkpointing, attention,
        )  # fmt: skip
        self.decoder = DECODERS[decoder](
            grid, hidden_size, in_channels * math.prod(self.patch_size), decoder_hidden_size, decoder_mlp_dim,
            decoder_num_layers, decoder_num_heads, qkv_bias, positions, checkpointing=checkpointing,
            recall=decoder_recall,
        )  # fmt: skip
        self.apply(initialize)

    def forward(
        self,
        image: Tensor,
        visible: Optional[Tensor] = None,  # noqa: UP045
        hidden: Optional[Tensor] = None,  # noqa: UP045
    ) -> Tensor:
        """Reconstruct an image from its visible tokens.

        Args:
            image: ``(B, C, *img_size)``, float.
            visible: ``(B, K)`` int64 indices of the tokens that the encoder sees; None for all.
            hidden: ``(B, M)`` int64 indices of the tokens to predict; None for all.

        Returns:
            ``(B, C, *img_size)``: predictions in the voxels of the ``hidden`` tokens, 0 elsewhere. With
            per-patch-normalised targets they are in those units (see ``displayable``).

        Raises:
            ValueError: if the image's size is not ``img_size``.
        """
        if list(image.shape[2:]) != self.img_size:
            raise ValueError(f"image of {list(image.shape[2:])} does not fit the network's img_size {self.img_size}")
        every = torch.arange(self.n_tokens, device=image.device).expand(image.shape[0], -1)
        features = self.encoder(image, visible)
        predicted = every if hidden is None else hidden
        tokens = self.decoder(features, every if visible is None else visible, predicted)
        if hidden is not None:
            tokens = scatter_tokens(tokens, hidden, self.n_tokens)
        return unpatchify(tokens, self.patch_size, self.img_size)


def random_twin(network: Network) -> Network:
    """A freshly initialised network of the same ``facts``, with the same weights at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return type(network)(**network.facts)  # type: ignore[arg-type]


def initialize(module: nn.Module) -> None:
    """The original MAE's initialisation: xavier-uniform matrices (patch kernel as one matrix), 0 biases, .02 tokens."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
        nn.init.xavier_uniform_(module.weight.data.view(module.weight.shape[0], -1))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for name in ("cls_token", "mask_token"):
        token = getattr(module, name, None)
        if isinstance(token, nn.Parameter):
            nn.init.normal_(token, std=0.02)
