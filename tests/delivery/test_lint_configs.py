"""Faults of the metadata and of what configurations have to define, refer to and share."""

from __future__ import annotations

import pytest

from monai_mae_ext.delivery import findings
from tests.delivery.small_bundle import INFER, META, REMOVE, TRAIN, assert_findings, change

IMAGE, PRED = "network_data_format#inputs#image", "network_data_format#outputs#pred"


@pytest.mark.parametrize(
    ("id", "value", "key", "words"),
    [
        ("authors", REMOVE, "authors", "write a text"),
        ("required_packages_version", REMOVE, "required_packages_version", "optional_packages_version"),
        ("numpy_version", 2, "numpy_version", "give the version"),
        ("schema", "meta_schema.json", "schema", "name https://project-monai"),
        (f"{IMAGE}#num_channels", 0, f"{IMAGE}#num_channels", "give the number of channels"),
        (f"{IMAGE}#spatial_shape", ["x*2"], f"{IMAGE}#spatial_shape#0", "p, n, * and digits"),
        (f"{IMAGE}#value_range", 1, f"{IMAGE}#value_range", "list the least and the greatest"),
        (f"{IMAGE}#dtype", REMOVE, f"{IMAGE}#dtype", "name torch's type"),
        (IMAGE, "an image", IMAGE, "describe the tensor"),
        (IMAGE, REMOVE, IMAGE, "call the first input image"),
        ("encoder_data_format", {"inputs": {}}, "encoder_data_format#outputs", "map each tensor's name"),
        ("version", "0.1", "version", "sorts versions as texts"),
        ("changelog", {"0.0.9": "x"}, "changelog", "no entry for version 0.1.0; say what"),
        (f"{PRED}#num_channels", 3, f"{PRED}#channel_def", "names 2 channels, num_channels is 3"),
        ("note", "$import evil", "note", "imports evil"),
    ],
)
def test_faults_of_metadata(bundle, id, value, key, words):
    change(bundle / META, id, value)
    if id == "version":
        change(bundle / META, "changelog", {value: "x"})
    assert_findings(findings(bundle), (META, key, words))


TRAINER, EVALUATOR = "train#trainer", "train#handlers#0#validator"


@pytest.mark.parametrize(
    ("file", "id", "value", "key", "words"),
    [
        (
            INFER,
            "dataset_dir",
            REMOVE,
            "dataset_dir",
            "define it under this very id, MONAI's inference workflow requires it",
        ),
        (TRAIN, f"{TRAINER}#max_epochs", REMOVE, f"{TRAINER}#max_epochs", "max number of epochs"),
        (TRAIN, f"{TRAINER}#train_handlers", [], f"{TRAINER}#train_handlers", 'write "@train#handlers"'),
        (TRAIN, f"{TRAINER}#train_handlers", "@random", f"{TRAINER}#train_handlers", "is '@random' where MONAI"),
        (TRAIN, "train#handlers#0#interval", 1, "train#handlers#0#interval", 'write "@val_interval"'),
        (TRAIN, EVALUATOR, "@train#trainer", EVALUATOR, "where MONAI expects @validate#evaluator"),
        (TRAIN, "validate#handlers", "$[]", "validate#handlers", "write a list of dictionaries"),
        (INFER, "handlers#0", "@inferer", "handlers#0", "write the handler itself"),
    ],
)
def test_faults_of_properties(bundle, file, id, value, key, words):
    change(bundle / file, id, value)
    assert_findings(findings(bundle), (file, key, words))


@pytest.mark.parametrize(
    ("file", "id", "value", "words"),
    [
        (INFER, "evaluator#device", "@devise", "@devise names no item; did you mean device?"),
        (INFER, "run#0", "$@evaluator.run(@epochs)", "@epochs names no item; define it"),
        (TRAIN, f"{TRAINER}#inferer", "@###inferer", "@inferer names no item"),
        (TRAIN, f"{TRAINER}#inferer", "@####inferer", "names no item"),
        (TRAIN, "other", "@training#0", None),
        (TRAIN, "other", "@alias#preprocessing", "names no item"),
        (TRAIN, "training", "%runs", "%runs names no item; did you mean run?"),
        (TRAIN, "training", "%base.json#run", "copies from another file; copy the text here"),
        (TRAIN, "other", "@train-loader", "is text to MONAI; use letters"),
        (TRAIN, "other", "me@home", None),
    ],
)
def test_faults_of_references(bundle, file, id, value, words):
    change(bundle / TRAIN, "alias", "@train")
    change(bundle / file, id, value)
    assert_findings(findings(bundle), *([(file, id, words)] if words else []))


SPACING = "preprocessing#transforms#1"


@pytest.mark.parametrize(
    ("id", "value", "key", "words"),
    [
        ("network_def#strides", [1], "network_def#strides#0", "is 1, in configs/train.json 2; write both alike"),
        ("network_def#act", "GELU", "network_def#act", 'is "GELU", in configs/train.json not given'),
        ("network_def#_target_", "UNETR", "network_def#_target_", 'is "UNETR", in configs/train.json "UNet"'),
        ("width", 16, "network_def#channels#0", "is 16, in configs/train.json 4"),
        ("label_names", "$['a', 'b']", "label_names", "write both alike"),
        ("slice", 3, f"{SPACING}#pixdim#2", "is 3, in configs/train.json 2.0"),
        (SPACING, REMOVE, "preprocessing", "lacks Spacing, which configs/train.json has; add it"),
        (f"{SPACING}#_disabled_", True, "preprocessing", "lacks Spacing"),
        ("slice", 2, None, None),
        (f"{SPACING}#pixdim", [1, 1, "$@slice"], None, None),
        (f"{SPACING}#padding_mode", "zeros", None, None),
        ("network_def#dropout", 0.5, None, None),
        ("network_def#channels", ["$@width + 0", 8], "network_def#channels#0", "write both alike"),
    ],
)
def test_what_training_and_inference_share(bundle, id, value, key, words):
    change(bundle / INFER, id, value)
    assert_findings(findings(bundle), *([(INFER, key, words)] if key else []))


def test_training_has_the_network_that_monai_loads(bundle):
    change(bundle / TRAIN, "network_def", REMOVE)
    assert_findings(findings(bundle)[-1:], (TRAIN, "network_def", "monai.bundle.load takes the network from here"))


def test_own_transforms_are_compared_where_both_have_them(bundle):
    own = {"_target_": "monai_mae_ext.transforms.ArrangeModalitiesd", "keys": "image", "modalities": ["T1w"]}
    change(bundle / TRAIN, "random", [own])
    assert findings(bundle) == []
    change(bundle / INFER, SPACING.replace("1", "0"), own | {"modalities": ["T2w"]})
    key = "preprocessing#transforms#0#modalities#0"
    assert_findings(findings(bundle), (INFER, key, 'is "T2w", in configs/train.json "T1w"'))
