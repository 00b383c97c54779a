"""Networks too large for one device: weights, gradients and optimiser states shared out over processes (FSDP2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import ignite.distributed as idist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from monai_mae_ext.networks import MaskedAutoencoder, ViTClassifier, ViTSegmenter

__all__ = ["is_sharded", "share", "share_optimizer_state", "shard", "whole"]


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


def whole(state: Any) -> Any:
    """A state dict, or any part of one, with shared tensors gathered, one by one, to the CPU.

    All processes have to ask for it together. Of what was shared, only the first one gets more than empty tensors.
    """
    if isinstance(state, DTensor):
        full = state.full_tensor()
        return full.cpu() if idist.get_rank() == 0 else full.new_empty(0, device="cpu")
    if isinstance(state, Mapping):
        return {key: whole(value) for key, value in state.items()}
    return [whole(value) for value in state] if isinstance(state, list) else state


def share(value: Tensor, like: Tensor) -> Tensor:
    """Share a whole tensor out as ``like`` is, if it is."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def share_optimizer_state(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    """Share a whole state dict out as the weights of ``optimizer`` are."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    like = dict(zip(numbers, weights, strict=True))
    return state | {
        "state": {
            number: {
                name: share(value, like[number])
                if isinstance(value, Tensor) and value.shape == like[number].shape
                else value
                for name, value in values.items()
            }
            for number, values in state["state"].items()
        }
    }
