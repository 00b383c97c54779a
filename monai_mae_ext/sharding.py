"""Networks too large for one device: weights, gradients and optimiser states shared out over processes (FSDP2)."""

from __future__ import annotations

from typing import TypeVar

import ignite.distributed as idist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from monai_mae_ext.networks import MaskedAutoencoder, ViTClassifier, ViTSegmenter

__all__ = ["WHOLE", "is_sharded", "shard"]

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
"""For torch's functions of state dicts: checkpoints hold whole tensors, gathered by the first process."""

Network = TypeVar("Network", MaskedAutoencoder, ViTClassifier, ViTSegmenter)


def shard(network: Network) -> Network:
    """Share a network's weights out over all processes, in place.

    A block's weights are together only while the block computes (what autocast makes of them stays until the backward
    pass). The encoder is a unit of its own, because it is also called without the rest.

    Args:
        network: on its device.

    Returns:
        the network.
    """
    mesh = init_device_mesh(next(network.parameters()).device.type, (idist.get_world_size(),))
    for module in network.modules():
        for block in getattr(module, "blocks", ()):
            fully_shard(block, mesh=mesh)
    fully_shard(network.encoder, mesh=mesh)
    register_fsdp_forward_method(network.encoder, "states")
    fully_shard(network, mesh=mesh)
    return network


def is_sharded(network: nn.Module) -> bool:
    return any(isinstance(weight, DTensor) for weight in network.parameters())
