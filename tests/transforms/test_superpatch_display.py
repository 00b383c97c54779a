from __future__ import annotations

import torch

from monai_mae_ext.transforms import SuperpatchDisplayd, block_mean


def test_block_means_are_those_of_each_token_also_of_cut_ones() -> None:
    image = torch.rand(2, 1, 8, 6, 5, generator=torch.Generator().manual_seed(0))
    means = block_mean(image, 4)
    for corner in ((0, 0, 0), (4, 4, 4), (0, 4, 0)):
        box = (1, 0, *(slice(start, start + 4) for start in corner))
        torch.testing.assert_close(means[box], image[box].mean().expand_as(means[box]))


def test_pasted_shows_predictions_where_hidden_and_the_trivial_rival_sees_no_hidden_voxel() -> None:
    image = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    hidden = image > 3
    pred = {"unmasked": image + 1, "hidden": hidden, "predicted": torch.full_like(image, 9) * hidden}
    out = SuperpatchDisplayd(2)({"pred": pred, "label": {"image": image}})
    assert out["pasted"].flatten().tolist() == [0, 1, 2, 3, 9, 9, 9, 9]
    assert out["mean_fill"].flatten().tolist() == [0, 1, 2, 3, 1.5, 1.5, 1.5, 1.5]
    assert torch.equal(out["reference"]["hidden"], hidden) and torch.equal(out["unmasked"], image + 1)


def test_without_masking_there_is_the_first_row_alone() -> None:
    image = torch.rand(1, 1, 4, 4, 4)
    out = SuperpatchDisplayd(2)({"pred": {"unmasked": image}, "label": {"image": image}})
    assert "pasted" not in out and "hidden" not in out["reference"]
