"""Items on disk: made once, for these contents and these transforms; whole or not there."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureTyped, Lambdad, LoadImaged, RandFlipd, ScaleIntensityd
from PIL import Image

from monai_mae_ext import files
from monai_mae_ext.data import RadiographReader, TolerantCacheDataset
from monai_mae_ext.data.disk_cache import DiskCache
from monai_mae_ext.errors import UserError


def write_films(folder: Path, count: int = 3) -> list[dict]:
    folder.mkdir(exist_ok=True)
    items = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"film{number}.png")
        items.append({"image": str(folder / f"film{number}.png"), "label": (number, 1)})
    return items


def transforms(high: float = 1.0) -> Compose:
    return Compose([
        LoadImaged("image", RadiographReader, ensure_channel_first=True),
        ScaleIntensityd("image", 0.0, high),
        RandFlipd("image", prob=0.5),
    ])  # fmt: skip


def dataset(items: list[dict], folder: Path, high: float = 1.0) -> TolerantCacheDataset:
    return TolerantCacheDataset(items, transforms(high), progress=False, cache_dir=folder)


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.safetensors")}


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the films that are decoded from now on."""
    names: list[str] = []
    original = RadiographReader.get_data
    monkeypatch.setattr(
        RadiographReader, "get_data", lambda self, img: (names.append(Path(img[0]).name), original(self, img))[1]
    )
    return names


def test_items_are_those_of_the_transforms_and_are_decoded_once(tmp_path, decoded):
    items = write_films(tmp_path / "films")
    plain = TolerantCacheDataset(items, transforms(), cache_rate=0.0, progress=False)
    plain.epoch_seed = 5
    wanted = [plain[index] for index in range(3)]
    decoded.clear()
    for _ in range(2):
        cached = dataset(items, tmp_path / "cache")
        cached.epoch_seed = 5
        for _, (index, item) in zip(range(4), [*enumerate(wanted), (0, wanted[0])], strict=True):
            found = cached[index]
            assert torch.equal(found["image"], item["image"]) and found["label"] == item["label"]
            assert isinstance(found["image"], MetaTensor)
            assert found["image"].meta["filename_or_obj"] == item["image"].meta["filename_or_obj"]
            assert torch.equal(found["image"].affine, item["image"].affine)
    assert sorted(decoded) == ["film0.png", "film1.png", "film2.png"] and len(entries(tmp_path / "cache")) == 3


def test_what_is_written_to_an_item_stays_out_of_the_file(tmp_path):
    (item, *_) = write_films(tmp_path / "films")
    cached = dataset([item], tmp_path / "cache")
    cached.epoch_seed = 1
    before = cached[0]["image"].clone()
    cached[0]["image"].fill_(9.0)
    assert torch.equal(cached[0]["image"], before)


def test_changed_files_values_and_transforms_are_made_anew_and_moved_files_are_not(tmp_path, decoded):
    items = write_films(tmp_path / "films", 1)
    dataset(items, tmp_path / "cache")[0]
    assert dataset(items, tmp_path / "cache", high=2.0)[0]["image"].max() == 2.0
    assert dataset([items[0] | {"label": (7, 7)}], tmp_path / "cache")[0]["label"] == (7, 7)
    assert len(decoded) == 3
    shutil.move(tmp_path / "films", tmp_path / "moved")
    moved = [items[0] | {"image": str(tmp_path / "moved" / "film0.png")}]
    assert dataset(moved, tmp_path / "cache")[0]["image"].meta["filename_or_obj"] == moved[0]["image"]
    assert len(decoded) == 3
    pixels = np.full((8, 8), 3, np.uint8)
    pixels[0, 0] = 4
    Image.fromarray(pixels).save(tmp_path / "moved" / "film0.png")
    os.utime(tmp_path / "moved" / "film0.png", (1, 1))
    assert sorted(dataset(moved, tmp_path / "cache")[0]["image"].unique().tolist()) == [0.0, 1.0]
    assert len(decoded) == 4


def test_a_damaged_entry_is_made_again_and_a_broken_film_leaves_none(tmp_path, decoded, caplog):
    items = write_films(tmp_path / "films", 2)
    good = dataset(items, tmp_path / "cache")[0]["image"].as_tensor().flatten().sort().values
    (path,) = (tmp_path / "cache").rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        again = dataset(items, tmp_path / "cache")[0]["image"]
    assert torch.equal(again.as_tensor().flatten().sort().values, good) and "is made again" in caplog.text
    Path(items[1]["image"]).write_bytes(b"no film")
    cached = dataset(items, tmp_path / "cache")
    assert torch.equal(cached[1]["image"].as_tensor().flatten().sort().values, good), (
        "the next good one takes its place"
    )
    assert len(entries(tmp_path / "cache")) == 1 and not list((tmp_path / "cache").rglob(".*"))


def test_a_full_disk_costs_time_and_no_film(tmp_path, monkeypatch, caplog):
    items = write_films(tmp_path / "films", 2)
    cached = dataset(items, tmp_path / "cache")
    monkeypatch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with caplog.at_level(logging.WARNING):
        found = [cached[index]["image"].meta["filename_or_obj"] for index in (0, 1, 0)]
    assert [Path(name).name for name in found] == ["film0.png", "film1.png", "film0.png"]
    assert caplog.text.count("takes no more items") == 1 and not entries(tmp_path / "cache")


def test_values_that_no_file_holds_cost_time_and_no_item(tmp_path, caplog):
    cache = DiskCache(tmp_path / "cache", transforms())
    backwards = np.arange(3)[::-1]
    with caplog.at_level(logging.WARNING):
        assert cache.item({"image": "a"}, lambda: {"image": {1, 2}}) == {"image": {1, 2}}
        assert cache.item({"image": "b"}, lambda: {"image": backwards})["image"] is backwards
    assert caplog.text.count("takes no more items (no file holds a set)") == 1


def test_voxels_beside_their_header_belong_to_an_item(tmp_path):
    cache = DiskCache(tmp_path / "cache", transforms())
    for number in (1, 2):
        (tmp_path / f"{number}.mhd").write_text("ElementDataFile = scan.raw")
        (tmp_path / f"{number}.raw").write_bytes(bytes([number]))
    found = [
        cache.item({"image": str(tmp_path / f"{n}.mhd")}, lambda n=n: {"image": torch.full((1,), n)}) for n in (1, 2)
    ]
    assert [item["image"].item() for item in found] == [1, 2]


def test_numbers_of_any_library_and_damaged_notes_do_no_harm(tmp_path):
    items = [item | {"label": np.int64(number)} for number, item in enumerate(write_films(tmp_path / "films", 2))]
    first = [dataset(items, tmp_path / "cache")[index]["image"].sum().item() for index in range(2)]
    for note in (tmp_path / "cache" / "seen").rglob("*"):
        if note.is_file():
            note.write_bytes(bytes(64))
    again = dataset(items, tmp_path / "cache")
    assert [again[index]["image"].sum().item() for index in range(2)] == pytest.approx(first) and first[0] != first[1]
    assert not any(again.bad)


def test_a_patient_called_like_a_folder_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "file").write_text("")
    assert DiskCache(tmp_path / "cache", transforms()).identity(["7", "other"]) == ["7", "other"]


def test_a_long_text_is_no_path(tmp_path):
    report = "the lungs are clear . " * 300
    assert DiskCache(tmp_path / "cache", transforms()).identity(report) == report


def test_transforms_that_cannot_be_told_from_others_are_named(tmp_path):
    with pytest.raises(UserError, match="cache_dir needs transforms that can be pickled.*no lambda before"):
        DiskCache(tmp_path / "cache", Compose([Lambdad("image", lambda image: image + 1)]))


def test_devices_share_entries_and_items_come_back_to_theirs(tmp_path):
    items = write_films(tmp_path / "films", 1)

    def on(device):
        return DiskCache(
            tmp_path / "cache", Compose([*transforms().transforms[:2], EnsureTyped("image", device=device)])
        )

    caches = [on(device) for device in (None, "cpu", "cuda:1", torch.device("cuda:0"))]
    assert len({cache.recipe for cache in caches}) == 1
    assert [cache.devices["image"] for cache in caches] == [None, "cpu", "cuda:1", torch.device("cuda:0")]
    item = on("meta").item(items[0], lambda: {"image": MetaTensor(torch.ones(1, 8, 8))})
    assert item["image"].device.type == "meta" and isinstance(item["image"], MetaTensor)


def test_tensors_are_mapped_not_read(tmp_path):
    cache = DiskCache(tmp_path / "cache", transforms())
    big = {"image": MetaTensor(torch.zeros(1, 64, 256, 256))}
    tensor = cache.item({"image": "a"}, lambda: big)["image"]
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("mapped files are listed in /proc, which this system has not")
    assert str(tmp_path / "cache") in maps.read_text() and tensor.shape == (1, 64, 256, 256)


def test_a_file_in_the_folders_place_is_named(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match="cache is no folder: give cache_dir another"):
        dataset(write_films(tmp_path / "films"), tmp_path / "cache")
