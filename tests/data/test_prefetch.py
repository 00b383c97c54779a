from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine
from monai.data import Dataset

from monai_mae_ext.data import PrefetchDataLoader
from monai_mae_ext.errors import UserError


def test_every_batch_comes_once_and_in_order_epoch_after_epoch():
    loader = PrefetchDataLoader(Dataset(list(range(10))), batch_size=4, num_workers=0)
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_error_reaches_the_training_loop():
    def transform(item: int) -> int:
        if item == 5:
            raise UserError("film 5 is broken")
        return item

    seen: list[int] = []
    loader = PrefetchDataLoader(Dataset(list(range(10)), transform), batch_size=2, num_workers=0)
    with pytest.raises(Exception) as caught:
        Engine(lambda engine, batch: seen.extend(batch.tolist())).run(loader, max_epochs=2)
    assert isinstance(caught.value.__cause__, UserError)
    assert seen == [0, 1, 2, 3]


def test_a_loop_left_early_leaves_no_thread_behind():
    loader = PrefetchDataLoader(Dataset([torch.zeros(1)] * 9), num_workers=0)
    for _ in loader:
        break
    assert len(list(loader)) == 9
