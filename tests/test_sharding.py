from __future__ import annotations

from collections.abc import Iterator

import ignite.distributed as idist
import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor

from monai_mae_ext.sharding import WHOLE, is_sharded, shard
from monai_mae_ext.weights import load_weights
from tests.handlers.conftest import tiny_network


@pytest.fixture
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    assert idist.backend() == "gloo"
    idist.finalize()


def test_what_is_shared_out_can_be_put_together_and_shared_out_again(one_process: None) -> None:
    torch.manual_seed(0)
    plain = tiny_network()
    weights = {name: weight.clone() for name, weight in plain.state_dict().items()}
    network = shard(plain)
    assert is_sharded(network) and all(isinstance(weight, DTensor) for weight in network.parameters())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    index = torch.arange(16)[None]
    image = torch.rand(1, 1, 16, 16)
    for _ in range(2):
        network(image, index[:, :4], index[:, 4:]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    trained, moments = get_state_dict(network, optimizer, options=WHOLE)
    assert not any(isinstance(weight, DTensor) for weight in trained.values())
    assert all(trained[name].shape == weight.shape for name, weight in weights.items())
    load_weights(network, weights, "memory")
    torch.testing.assert_close(get_model_state_dict(network, options=WHOLE), weights)
    again = torch.optim.AdamW(network.parameters(), lr=1e-2)
    set_optimizer_state_dict(network, again, moments, options=WHOLE)
    assert all(isinstance(values["exp_avg"], DTensor) for values in again.state.values())
    torch.testing.assert_close(get_optimizer_state_dict(network, again, options=WHOLE)["state"], moments["state"])
    assert not is_sharded(tiny_network())
