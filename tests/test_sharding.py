from __future__ import annotations

from collections.abc import Iterator

import ignite.distributed as idist
import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from monai_mae_ext.sharding import is_sharded, shard, share_optimizer_state, whole
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
    state = whole({"network": network.state_dict(), "optimizer": optimizer.state_dict()})
    assert not any(isinstance(weight, DTensor) for weight in state["network"].values())
    assert all(state["network"][name].shape == weight.shape for name, weight in weights.items())
    load_weights(network, weights, "memory")
    torch.testing.assert_close(whole(network.state_dict()), weights)
    again = torch.optim.AdamW(network.parameters(), lr=1e-2)
    again.load_state_dict(share_optimizer_state(again, state["optimizer"]))
    moments = [values["exp_avg"] for values in again.state.values()]
    assert moments and all(isinstance(moment, DTensor) for moment in moments)
    torch.testing.assert_close(whole(again.state_dict())["state"], state["optimizer"]["state"])


def test_a_plain_state_stays_as_it_is() -> None:
    network = tiny_network()
    assert not is_sharded(network)
    state = whole({"weights": network.state_dict(), "groups": [{"lr": 0.1}], "epoch": 3})
    assert state["groups"] == [{"lr": 0.1}] and state["epoch"] == 3
    torch.testing.assert_close(state["weights"], dict(network.state_dict()))
