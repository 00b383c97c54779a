from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data.meta_tensor import MetaTensor

from monai_mae_ext.errors import UserError
from monai_mae_ext.transforms import LabelsToRegionsd, class_regions, tumor_label_names, tumor_regions
from monai_mae_ext.transforms.regions import SCHEMES, Regions, clean_regions, labels_of_regions, region_mask


def region_masks(labels: torch.Tensor, regions: Regions) -> torch.Tensor:
    return torch.stack([region_mask(labels, members) for members in regions.values()])


@pytest.mark.parametrize(
    ("scheme", "edema", "core", "enhancing"), [("msd", 1, 2, 3), ("brats", 2, 1, 4), ("brats2023", 2, 1, 3)]
)
def test_each_numbering_gives_the_same_regions(scheme: str, edema: int, core: int, enhancing: int) -> None:
    labels = torch.tensor([0, edema, core, enhancing])
    whole, inner, bright = region_masks(labels, tumor_regions(scheme)).tolist()
    assert whole == [False, True, True, True]
    assert inner == [False, False, True, True]
    assert bright == [False, False, False, True]
    names = tumor_label_names(scheme)
    assert names[edema] == "edema" and names[enhancing] == "enhancing tumor" and names[0] == "background"


@given(st.sampled_from(sorted(SCHEMES)), st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_labels_survive_the_way_to_regions_and_back(scheme: str, values: list[int]) -> None:
    known = sorted({0}.union(*tumor_regions(scheme).values()))
    labels = torch.tensor([known[value] for value in values]).reshape(2, 2, 2)
    back = labels_of_regions(region_masks(labels, tumor_regions(scheme)), tumor_regions(scheme))
    assert torch.equal(back.long(), labels) and back.dtype == torch.uint8


def test_classes_that_do_not_overlap_are_regions_too() -> None:
    regions = class_regions(["background", "anterior", "posterior"])
    labels = torch.tensor([0, 2, 1])
    assert region_masks(labels, regions).tolist() == [[False, False, True], [False, True, False]]
    assert labels_of_regions(region_masks(labels, regions), regions).tolist() == [0, 2, 1]


def test_regions_that_cannot_be_written_as_labels_are_refused() -> None:
    with pytest.raises(UserError, match=r"region 'both' needs one label that no smaller region has, it has \[1, 2\]"):
        labels_of_regions(torch.zeros(1, 2, dtype=torch.bool), {"both": (1, 2)})


def test_small_parts_and_small_regions_are_taken_off() -> None:
    masks = torch.zeros(2, 12, 5, 5, dtype=torch.bool)
    masks[0, :4, :3, :3] = True
    masks[0, 8, 2, 2] = True  # a part of one voxel, 2 ml
    masks[1, 1, 1, :3] = True  # 6 ml in all
    regions = {"whole": (1, 2), "core": (2,)}
    cleaned = clean_regions(masks, regions, voxel_ml=2.0, min_part_ml=3.0, min_ml={"core": 7.0})
    assert cleaned[0].sum() == 36 and not cleaned[0, 8].any() and not cleaned[1].any()
    assert torch.equal(clean_regions(masks, regions, 2.0), masks)
    with pytest.raises(UserError, match="no region is called corr: they are whole, core"):
        clean_regions(masks, regions, 2.0, min_ml={"corr": 1.0})


def test_the_transform_keeps_the_geometry_and_refuses_another_numbering() -> None:
    affine = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.double))
    label = MetaTensor(torch.tensor([0, 1, 2, 4]).reshape(1, 2, 2, 1), affine)
    out = LabelsToRegionsd("label", tumor_regions("brats"))({"label": label})["label"]
    assert out.shape == (3, 2, 2, 1) and out.dtype == torch.float32 and torch.equal(out.affine, affine)
    assert out.flatten(1).sum(1).tolist() == [3, 2, 1]
    with pytest.raises(
        UserError, match=r"p/scan has label 4, the regions know \[0, 1, 2, 3\]: choose another --scheme"
    ):
        LabelsToRegionsd("label", tumor_regions("msd"))({"label": label, "scan": "p/scan"})
    with pytest.raises(UserError, match="scheme is one of msd, brats, brats2023, not 'BraTS'"):
        tumor_regions("BraTS")
