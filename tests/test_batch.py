from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from monai_mae_ext.batch import PrepareMaskedBatch, PrepareReportBatch
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.reports.tokenizer import BEGIN, END, PADDING


def test_a_batch_becomes_the_networks_arguments_and_the_losss_targets():
    image = MetaTensor(torch.rand(2, 1, 8, 8), meta={"filename_or_obj": ["a", "b"]})
    visible, hidden = torch.tensor([[0], [1]]), torch.tensor([[2, 3], [0, 2]])
    batch = {"image": image, "visible": visible, "hidden": hidden, "label": 3}
    inputs, label, arguments, keywords = PrepareMaskedBatch()(batch, device="cpu", non_blocking=True)
    assert type(inputs) is torch.Tensor and torch.equal(inputs, image.as_tensor())
    assert keywords == {}
    assert set(label) == {"image", "visible", "hidden"} and label["image"] is inputs
    assert torch.equal(arguments[0], visible) and torch.equal(arguments[1], hidden)
    assert arguments[0] is label["visible"] and arguments[1] is label["hidden"]
    assert arguments[0].dtype == torch.int64
    assert isinstance(batch["image"], MetaTensor), "the loader's batch was changed"


def test_a_batch_that_was_not_masked_is_refused_and_a_mask_of_padding_travels_with_the_targets():
    batch = {"image": torch.rand(1, 1, 4, 4), "visible": torch.tensor([[0]]), "valid": torch.ones(1, 1, 4, 4)}
    with pytest.raises(KeyError, match="hidden"):
        PrepareMaskedBatch()(batch)
    _, label, _, _ = PrepareMaskedBatch()({**batch, "hidden": torch.tensor([[1]])})
    assert torch.equal(label["valid"], batch["valid"])


def test_everything_goes_to_the_device():
    batch = {"image": torch.rand(1, 1, 4, 4), "visible": torch.tensor([[0]]), "hidden": torch.tensor([[1]])}
    inputs, label, arguments, _ = PrepareMaskedBatch()(batch, device=torch.device("meta"))
    assert {tensor.device.type for tensor in (inputs, *label.values(), *arguments)} == {"meta"}


def test_what_the_network_is_to_predict_can_hold_more_than_it_sees() -> None:
    batch = {"image": torch.zeros(1, 2, 4), "target": torch.ones(1, 2, 4)}
    batch |= {"visible": torch.tensor([[0]]), "hidden": torch.tensor([[1]])}
    image, label, masks, _ = PrepareMaskedBatch()(batch)
    assert not image.any() and label["image"].all() and "target" not in label and len(masks) == 2


def test_reports_are_cut_where_the_longest_ends_and_each_token_foretells_the_next():
    tokenizer = ReportTokenizer.fit(["the heart is large .", "the lungs are clear ."] * 3, 20)
    tokens = torch.stack([tokenizer.encode(report, 12) for report in ("the heart .", "the lungs are clear .")])
    image, label, (inputs,), _ = PrepareReportBatch()({"image": torch.rand(2, 1, 4, 4), "tokens": tokens})
    assert image.shape == (2, 1, 4, 4) and inputs.shape == label.shape == (2, 7)
    assert (inputs[:, 0] == BEGIN).all()
    assert tokenizer.decode(label[0]) == "the heart ." and label[0].tolist()[-3:] == [END, PADDING, PADDING]
    torch.testing.assert_close(inputs[:, 1:], label[:, :-1])
