from __future__ import annotations

import logging
import multiprocessing
import re
import time

import numpy as np
import pytest
from monai.data import DataLoader
from monai.transforms import Compose, LoadImaged, RandomizableTransform, Transform
from PIL import Image

from monai_mae_ext.data import TolerantCacheDataset
from monai_mae_ext.errors import UserError

CACHES = pytest.mark.parametrize("cache", [{"num_workers": 4}, {"cache_rate": 0.0}, {"cache_num": 3}])


class Read(Transform):
    """Stands for reading a file: returns the item's number, and fails over bad ones."""

    def __init__(self, bad):
        self.bad = set(bad)

    def __call__(self, item):
        if item["number"] in self.bad:
            raise OSError(f"cannot read\n  number {item['number']}")
        return item["number"]


class FailingAugmentation(RandomizableTransform):
    def __call__(self, number):
        raise IndexError("a bug")


class AddRandom(RandomizableTransform):
    def __call__(self, number):
        return number + 100


def dataset_of(size: int, bad, *random_transforms, **options) -> TolerantCacheDataset:
    data = [{"image": f"film{i}.png", "number": i} for i in range(size)]
    return TolerantCacheDataset(data, Compose([Read(bad), *random_transforms]), progress=False, **options)


def items_of(dataset) -> list:
    return [dataset[i] for i in range(len(dataset))]


@CACHES
def test_the_next_good_item_takes_the_place_and_each_bad_one_is_named_once(cache, caplog):
    dataset = dataset_of(8, {1, 2, 7}, **cache)
    assert items_of(dataset) == items_of(dataset) == [0, 3, 3, 3, 4, 5, 6, 0]
    assert dataset[-1] == 0 and dataset[-8] == 0 and list(dataset) == items_of(dataset)
    assert sorted(caplog.messages) == [
        f"bad file film{i}.png is replaced by the next good one: OSError: cannot read number {i}" for i in (1, 2, 7)
    ]


@CACHES
def test_random_transforms_run_on_top(cache):
    assert items_of(dataset_of(4, {1}, AddRandom(), **cache)) == [100, 102, 102, 103]


@CACHES
def test_errors_of_random_transforms_pass(cache, caplog):
    dataset = dataset_of(4, (), FailingAugmentation(), **cache)
    with pytest.raises(RuntimeError) as caught:
        items_of(dataset)
    assert isinstance(caught.value.__cause__, IndexError) and not caplog.messages


@CACHES
def test_too_many_bad_files(cache):
    with pytest.raises(UserError) as caught:
        items_of(dataset_of(10, range(2, 8), max_bad_files=4, **cache))
    message = str(caught.value)
    # Threads that were under way when the fifth was found may add to the count.
    assert re.match("[56] of 10 files are bad, max_bad_files allows 4: film", message) and "\n" not in message
    assert "OSError: cannot read" in message and "python -m monai_mae_ext audit DIR" in message


@CACHES
def test_exactly_as_many_bad_files_as_allowed(cache):
    assert items_of(dataset_of(6, {1, 3}, max_bad_files=2, **cache)) == [0, 2, 2, 4, 4, 5]


@CACHES
def test_every_item_bad(cache):
    with pytest.raises(UserError, match="3 of 3 files are bad.*film0.png, film1.png, film2.png.*audit"):
        items_of(dataset_of(3, range(3), **cache))


def test_other_data_starts_anew():
    dataset = dataset_of(4, {1}, max_bad_files=1)
    dataset.set_data([{"number": 1}, {"number": 2}])
    assert items_of(dataset) == [2, 2]


@pytest.mark.parametrize(("context", "workers", "epochs"), [("fork", 2, 2), ("spawn", 1, 1)])
def test_data_loader_workers_share_what_they_found(context, workers, epochs, capfd):
    if context not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {context} on this platform")
    dataset = dataset_of(8, {1, 2, 7}, cache_num=2)
    loader = DataLoader(dataset, num_workers=workers, multiprocessing_context=context)
    handler = logging.StreamHandler()
    logging.getLogger("monai_mae_ext").addHandler(handler)
    try:
        for _ in range(epochs):
            assert [int(batch) for batch in loader] == [0, 3, 3, 3, 4, 5, 6, 0]
    finally:
        logging.getLogger("monai_mae_ext").removeHandler(handler)
    assert sum(dataset.bad[:]) == 3
    assert capfd.readouterr().err.count("film7.png is replaced") == 1


def test_with_files(tmp_path, caplog):
    for i in range(4):
        Image.fromarray(np.full((8, 8), 50 * i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:50])
    load = LoadImaged("image", reader="monai_mae_ext.data.RadiographReader", ensure_channel_first=True)
    data = [{"image": tmp_path / f"{i}.png"} for i in range(4)]
    dataset = TolerantCacheDataset(data, Compose([load]), progress=False)
    means = [255 * float(item["image"].mean()) for item in items_of(dataset)]
    assert means == pytest.approx([0, 100, 100, 150])
    (message,) = [record.message for record in caplog.records if record.name.startswith("monai_mae_ext")]
    assert "1.png is truncated or damaged" in message and "\n" not in message


def test_no_thread_is_at_work_when_the_error_comes():
    class Slow(Read):
        at_work = 0

        def __call__(self, item):
            Slow.at_work += 1
            try:
                time.sleep(0.05)
                return super().__call__(item)
            finally:
                Slow.at_work -= 1

    with pytest.raises(UserError, match="max_bad_files allows 0"):
        TolerantCacheDataset(
            [{"number": i} for i in range(50)], Compose([Slow({0})]), num_workers=4, progress=False, max_bad_files=0
        )
    assert Slow.at_work == 0
