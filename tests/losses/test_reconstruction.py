from __future__ import annotations

import pytest
import torch

from monai_mae_ext.losses import MaskedReconstructionLoss, normalize_tokens, token_statistics
from monai_mae_ext.networks import patchify
from monai_mae_ext.transforms import mask_image

PATCH = (2, 3)
HIDDEN = torch.tensor([[0, 3, 5], [1, 2, 4]])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image, prediction = (torch.randn(2, 2, 4, 9, generator=generator) for _ in range(2))
    return prediction, {"image": image, "hidden": HIDDEN}


def box(sample: torch.Tensor, token: int) -> torch.Tensor:
    row, column = divmod(token, 3)
    return sample[:, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]


@pytest.mark.parametrize("normalize", [False, True])
def test_against_a_hand_computation(batch, normalize):
    prediction, target = batch
    per_sample = []
    for guess, truth, tokens in zip(prediction, target["image"], HIDDEN.tolist(), strict=True):
        errors = []
        for token in tokens:
            wanted = box(truth, token)
            if normalize:
                variance = ((wanted - wanted.mean()) ** 2).mean()
                wanted = (wanted - wanted.mean()) / (variance + 1e-6) ** 0.5
            errors.append(((box(guess, token) - wanted) ** 2).mean())
        per_sample.append(sum(errors) / len(errors))
    expected = torch.stack(per_sample)
    none = MaskedReconstructionLoss(PATCH, normalize, reduction="none")(prediction, target)
    torch.testing.assert_close(none, expected)
    torch.testing.assert_close(MaskedReconstructionLoss(PATCH, normalize)(prediction, target), expected.mean())


def test_normalised_targets_have_mean_0_and_variance_1_and_undo_with_their_statistics():
    tokens = patchify(torch.randn(2, 3, 8, 8) * 7 + 3, [4, 4])
    normal = normalize_tokens(tokens)
    torch.testing.assert_close(normal.mean(-1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.var(-1, unbiased=False), torch.ones(2, 4), atol=1e-4, rtol=0)
    mean, std = token_statistics(tokens)
    torch.testing.assert_close(normal * std + mean, tokens, atol=1e-5, rtol=1e-5)


def test_a_constant_patch_gives_finite_targets_loss_and_gradient():
    image = torch.full((1, 1, 4, 9), 0.3)
    prediction = torch.randn(1, 1, 4, 9, requires_grad=True)
    loss = MaskedReconstructionLoss(PATCH)(prediction, {"image": image, "hidden": HIDDEN[:1]})
    loss.backward()
    assert loss.isfinite() and prediction.grad.isfinite().all()
    torch.testing.assert_close(loss, (prediction * mask_image(HIDDEN[:1], (4, 9), PATCH)).square().sum() / 18)


@pytest.mark.parametrize("normalize", [False, True])
def test_only_hidden_voxels_count(batch, normalize):
    prediction, target = batch
    prediction.requires_grad_()
    loss_function = MaskedReconstructionLoss(PATCH, normalize)
    loss = loss_function(prediction, target)
    loss.backward()
    hidden = mask_image(HIDDEN, (4, 9), PATCH).expand_as(prediction)
    assert (prediction.grad[~hidden] == 0).all()
    assert (prediction.grad[hidden] != 0).all()

    painted = torch.where(hidden, target["image"], torch.randn_like(prediction) * 100)
    assert torch.equal(loss_function(prediction, {**target, "image": painted}), loss)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_computed_in_float32_whatever_autocast_and_the_inputs_say(batch, dtype):
    prediction, target = batch
    low = {**target, "image": target["image"].to(dtype)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = MaskedReconstructionLoss(PATCH)(prediction.to(dtype), low)
    assert loss.dtype == torch.float32
    expected = MaskedReconstructionLoss(PATCH)(prediction.to(dtype).float(), {**low, "image": low["image"].float()})
    assert torch.equal(loss, expected)


def test_a_perfect_prediction_of_a_volume_costs_nothing():
    image = torch.randn(1, 2, 4, 4, 6)
    hidden = torch.tensor([[0, 5, 7]])
    loss = MaskedReconstructionLoss((2, 2, 3), normalize_targets=False)(image, {"image": image, "hidden": hidden})
    assert loss == 0


@pytest.mark.parametrize("normalize", [False, True])
def test_padding_has_no_part_in_the_loss(batch, normalize):
    prediction, target = batch
    loss = MaskedReconstructionLoss(PATCH, normalize, reduction="none")
    whole = {**target, "valid": torch.ones(2, 1, 4, 9)}
    torch.testing.assert_close(loss(prediction, whole), loss(prediction, target))
    half = {**target, "valid": torch.zeros(2, 1, 4, 9)}
    half["valid"][:, :, :2] = 1  # the upper row of tokens
    upper = [
        loss(prediction, {**target, "hidden": hidden[None].expand(2, -1)}) for hidden in (HIDDEN[0, :1], HIDDEN[1, :2])
    ]
    torch.testing.assert_close(loss(prediction, half), torch.stack([upper[0][0], upper[1][1]]))
    nothing = {**target, "valid": torch.zeros(2, 1, 4, 9)}
    assert loss(prediction, nothing).tolist() == [0, 0]
