from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data.meta_tensor import MetaTensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import ArrangeModalitiesd, CheckGridsd, NonzeroMaskd, RandDropModalitiesd

AFFINE = torch.diag(torch.tensor([2.0, 2.0, 3.0, 1.0], dtype=torch.double))


def item(*names: str) -> dict:
    values = torch.arange(1.0, len(names) + 1)[:, None, None, None].expand(-1, 4, 4, 4)
    image = MetaTensor(values.clone(), AFFINE, {"filename_or_obj": "p/p_t1.nii.gz"})
    return {"image": image, "modalities": list(names), "scan": "p/p"}


def test_channels_come_out_in_the_wanted_order_whatever_they_are_called() -> None:
    out = ArrangeModalitiesd("image", ["flair", "T1", "t1ce"])(item("T1gd", "FLAIR", "T1w"))
    assert out["image"][:, 0, 0, 0].tolist() == [2, 3, 1]
    assert out["image"].meta["filename_or_obj"] == "p/p" and torch.equal(out["image"].affine, AFFINE)


def test_a_missing_sequence_is_zeros_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        out = ArrangeModalitiesd("image", ["flair", "t1"])(item("T1w"))
    assert out["image"][:, 0, 0, 0].tolist() == [0, 1]
    assert "p/p has no FLAIR: zeros take the place" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modalities": ["FLAIR", "T1w"]}, r"p/p has 1 channels, its list names 2: FLAIR, T1w"),
        ({"modalities": ["T2w"]}, r"p/p has T2w, none of FLAIR, T1w: set --modalities"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ArrangeModalitiesd("image", ["FLAIR", "T1w"])(item("T1w") | change)


def test_the_brain_is_where_any_channel_is_not_zero() -> None:
    image = torch.zeros(2, 3, 3, 3)
    image[0, 0], image[1, 2, 1] = -0.5, 0.2
    mask = NonzeroMaskd("image")({"image": image})["valid"]
    assert mask.shape == (1, 3, 3, 3) and mask.dtype == torch.uint8
    assert mask[0, 0].all() and not mask[0, 1].any() and mask[0, 2, 1].all() and mask.sum() == 12


def test_modalities_are_dropped_as_often_as_asked_and_never_all() -> None:
    drop = RandDropModalitiesd("image", 0.5, target_key="target").set_random_state(0)
    image = torch.ones(3, 2, 2, 2)
    image[1] = 0  # missing from the start: what stays must be one of the others
    kept = []
    for _ in range(400):
        out = drop({"image": image})
        assert torch.equal(out["target"], image) and image[0].all()
        kept.append(out["image"].flatten(1).any(1))
    kept = torch.stack(kept).float()
    assert kept.any(1).all() and not kept[:, 1].any()
    # each of two is dropped with 1/2, but of the quarter in which both were, one stays: 3/8
    assert (1 - kept[:, [0, 2]]).mean().item() == pytest.approx(3 / 8, abs=0.04)


def test_nothing_is_dropped_or_added_unless_asked() -> None:
    image = torch.ones(2, 2, 2)
    assert set(RandDropModalitiesd("image", 0.0)({"image": image})) == {"image"}
    with pytest.raises(UserError, match=r"drop_prob is in \[0, 1\), not 1"):
        RandDropModalitiesd("image", 1.0)


def test_sequences_that_lie_elsewhere_are_refused_before_they_are_read(tmp_path: Path) -> None:
    affines = {"t1": np.eye(4), "t2": np.eye(4), "flair": np.diag([1.0, 1.0, 1.2, 1.0])}
    paths = {name: str(tmp_path / f"p_{name}.nii.gz") for name in affines}
    for name, affine in affines.items():
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), affine), paths[name])
    item = {"image": [paths["t1"], paths["t2"]]}
    assert CheckGridsd("image")(item) == item and CheckGridsd("image")({"image": "no/such/file"})
    with pytest.raises(UserError, match=r"p_flair.nii.gz lies on another grid than .*p_t1.nii.gz: register"):
        CheckGridsd("image")({"image": [paths["t1"], paths["flair"]]})
