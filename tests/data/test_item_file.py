"""Items in files: what goes in comes out, mapped, and a damaged file says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor
from safetensors import SafetensorError

from monai_mae_ext.data.item_file import item_from, write_item

PLAIN = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text()
TENSORS = st.builds(
    lambda shape, dtype: torch.arange(np.prod(shape, dtype=int)).reshape(shape).to(dtype),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]),
)
VALUES = st.recursive(
    PLAIN | TENSORS,
    lambda one: st.lists(one) | st.lists(one).map(tuple) | st.dictionaries(st.text(), one),
    max_leaves=8,
)


def assert_same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(wanted, torch.Tensor):
        assert found.dtype == wanted.dtype and torch.equal(found, wanted)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_same(found[key], value)
    elif isinstance(wanted, list | tuple):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    else:
        assert found == wanted


@given(item=st.dictionaries(st.text(), VALUES))
def test_an_item_comes_back_as_it_was(item, tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "item"
    write_item(path, item)
    assert_same(item_from(path), item)


def test_metadata_come_back_where_a_file_can_hold_them(tmp_path):
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    image = MetaTensor(
        torch.rand(1, 2, 3, 4).transpose(1, 3),
        affine,
        {"name": "a", "dim": np.arange(3), "odd": {1}, "back": np.arange(3)[::-1]},
    )
    write_item(tmp_path / "item", {"image": image})
    found = item_from(tmp_path / "item")["image"]
    assert isinstance(found, MetaTensor) and torch.equal(found.as_tensor(), image.as_tensor())
    assert torch.equal(found.affine, affine) and found.affine.dtype == affine.dtype
    assert (
        found.meta["name"] == "a" and found.meta["dim"].tolist() == [0, 1, 2] and not {"odd", "back"} & set(found.meta)
    )


def test_tensors_that_share_memory_do_not_share_it_in_the_file(tmp_path):
    shared = torch.arange(6.0)
    write_item(tmp_path / "item", {"all": shared, "some": shared[2:4], "again": shared})
    found = item_from(tmp_path / "item")
    found["some"].fill_(9)
    assert torch.equal(found["all"], shared)
    assert torch.equal(item_from(tmp_path / "item")["some"], shared[2:4])


@pytest.mark.parametrize("size", [0, 10, 200, -1])
def test_a_file_that_lost_its_end_says_so(tmp_path, size):
    write_item(tmp_path / "item", {"image": torch.zeros(100)})
    (tmp_path / "item").write_bytes((tmp_path / "item").read_bytes()[:size])
    with pytest.raises((SafetensorError, OSError)):
        item_from(tmp_path / "item")


@pytest.mark.parametrize(("value", "kind"), [({1}, "set"), ({1: 2}, "dict")])
def test_other_values_are_refused(tmp_path, value, kind):
    with pytest.raises(TypeError, match=f"no file holds a {kind}"):
        write_item(tmp_path / "item", {"label": [value]})
    assert not list(tmp_path.iterdir())
