from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import DataLoader
from monai.transforms import Compose, OneOf, RandGaussianNoised

from monai_mae_ext.data import EpochSampler, SkippingDataset, TolerantCacheDataset, epoch_order, local_batch_size
from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import RandomMaskingd


def in_process(monkeypatch: pytest.MonkeyPatch, rank: int, world: int) -> None:
    monkeypatch.setattr(epoch_order.idist, "get_world_size", lambda: world)
    monkeypatch.setattr(epoch_order.idist, "get_rank", lambda: rank)


def batches(n_items: int, batch_size: int, epoch: int, rank: int, world: int) -> list[list[int]]:
    """The whole batches that a process has in an epoch."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_process(monkeypatch, rank, world)
        sampler = EpochSampler(range(n_items), seed=5)
        size = local_batch_size(batch_size, range(n_items))
    sampler.set_epoch(epoch)
    items = list(sampler)
    return [items[start : start + size] for start in range(0, len(items) - size + 1, size)]


@given(world=st.integers(1, 4), shares=st.integers(1, 4), n_items=st.integers(4, 60), epoch=st.integers(0, 3))
def test_processes_share_the_batches_that_one_would_have(world: int, shares: int, n_items: int, epoch: int) -> None:
    batch_size = world * shares
    ours = [batches(n_items, batch_size, epoch, rank, world) for rank in range(world)]
    together = [sorted(sum(parts, [])) for parts in zip(*ours, strict=True)]
    alone = [sorted(batch) for batch in batches(n_items, batch_size, epoch, 0, 1)]
    if n_items >= batch_size:
        assert together == alone
    assert len({item for batch in together for item in batch}) == sum(map(len, together)), "no item is seen twice"


def test_epochs_have_orders_of_their_own() -> None:
    assert batches(40, 8, 0, 0, 1) == batches(40, 8, 0, 0, 1) != batches(40, 8, 1, 0, 1)


@pytest.mark.parametrize(("batch_size", "n_items", "message"), [(6, 100, "batch_size of 6"), (8, 3, "3 items are too")])
def test_what_cannot_be_shared_is_refused(monkeypatch, batch_size: int, n_items: int, message: str) -> None:
    in_process(monkeypatch, 0, 4)
    with pytest.raises(UserError, match=message):
        EpochSampler(range(n_items))
        local_batch_size(batch_size, range(n_items))


@given(world=st.integers(1, 4), n_items=st.integers(4, 30))
def test_each_item_is_validated_once(world: int, n_items: int) -> None:
    seen = []
    for rank in range(world):
        with pytest.MonkeyPatch.context() as monkeypatch:
            in_process(monkeypatch, rank, world)
            seen += list(EpochSampler(range(n_items), shuffle=False))
    assert sorted(seen) == list(range(n_items))


@pytest.mark.parametrize("cache_rate", [0.0, 0.5, 1.0])
def test_what_is_drawn_for_an_item_does_not_depend_on_who_prepares_it_when(cache_rate: float) -> None:
    items = [{"image": torch.full((1, 8, 8), float(number))} for number in range(6)]
    transforms = [RandGaussianNoised("image", prob=0.5), RandomMaskingd("image", 2)]
    dataset = TolerantCacheDataset(items, transforms, cache_rate=cache_rate, progress=False)
    dataset.epoch_seed = 1
    forwards = [dataset[number] for number in range(6)]
    for number in reversed(range(6)):
        assert torch.equal(dataset[number]["visible"], forwards[number]["visible"])
        assert torch.equal(dataset[number]["image"], forwards[number]["image"])
    from_workers = list(DataLoader(dataset, batch_size=1, num_workers=2))
    assert all(torch.equal(a["visible"][0], b["visible"]) for a, b in zip(from_workers, forwards, strict=True))
    assert len({tuple(item["visible"].tolist()) for item in forwards}) > 1, "items differ"
    dataset.epoch_seed = 2
    assert any(not torch.equal(dataset[number]["visible"], forwards[number]["visible"]) for number in range(6))


def test_every_transform_draws_for_itself_also_inside_others() -> None:
    noise = [RandGaussianNoised("image", prob=1.0) for _ in range(2)]
    transform = Compose([noise[0], OneOf([noise[1], RandGaussianNoised("image", prob=1.0)])])
    dataset = TolerantCacheDataset([{"image": torch.zeros(1, 8, 8)}], transform, progress=False)
    dataset.epoch_seed = 1
    dataset.seed_draws(0)
    drawn = [one.rand_gaussian_noise.R.random() for one in noise]
    assert drawn[0] != drawn[1]
    dataset.seed_draws(0)
    assert [one.rand_gaussian_noise.R.random() for one in noise] == drawn


def test_a_file_left_out_does_not_change_what_is_drawn_for_others() -> None:
    def drawn(broken: str | None) -> dict[str, torch.Tensor]:
        def load(item: dict) -> dict:
            if item["image"] == broken:
                raise ValueError("broken")
            return {"name": item["image"], "image": torch.zeros(1, 8, 8)}

        transform = Compose([load, RandomMaskingd("image", 2)])
        dataset = SkippingDataset([{"image": name} for name in "abcd"], transform)
        dataset.epoch_seed = 3
        return {item["name"]: item["visible"] for item in dataset}

    whole, part = drawn(None), drawn("b")
    assert list(part) == ["a", "c", "d"] and all(torch.equal(part[name], whole[name]) for name in part)
