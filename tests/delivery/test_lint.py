from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

from monai_mae_ext.delivery import findings, lint
from monai_mae_ext.errors import UserError
from tests.bundles.conftest import BUNDLES
from tests.delivery.small_bundle import (
    CARD,
    INFER,
    LARGE,
    META,
    OVERLAY,
    REMOVE,
    TRAIN,
    assert_findings,
    change,
    write_bundle,
    write_json,
)


@pytest.fixture
def bundle(tmp_path):
    return write_bundle(tmp_path / "seg")


def test_a_bundle_without_faults_has_no_findings(bundle, capsys):
    assert findings(bundle) == []
    assert lint(str(bundle)) == 0
    assert capsys.readouterr().out == "seg: no findings\n"


@pytest.mark.parametrize(("name", "workflow"), [("train", "train"), ("inference", "infer")])
def test_monai_itself_finds_no_fault_in_that_bundle(bundle, name, workflow):
    own = ConfigWorkflow(str(bundle / f"configs/{name}.json"), workflow_type=workflow, logging_file=False)
    own.initialize()
    assert own.check_properties() == []


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


def test_faults_of_files(bundle):
    (bundle / "LICENSE").rename(bundle / "LICENSE.txt")
    (bundle / "docs/data_license.txt").unlink()
    (bundle / "docs/README.md").write_text(CARD.replace("## How to cite", "").replace("**Hardware.**", "Hardware."))
    shutil.move(bundle, bundle.with_name("Seg_vit"))
    assert_findings(
        findings(bundle.with_name("Seg_vit")),
        (".", "", "the name Seg_vit has capitals; use small letters"),
        (".", "", "MONAI takes what follows _v for a version"),
        ("LICENSE", "", "exactly this name"),
        ("docs/data_license.txt", "", "which terms"),
        ("docs/README.md", "citation", "cite or references or citation"),
        ("docs/README.md", "compute", "compute or hardware"),
    )


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({}, None, None),
        ({"hash_type": "md5", "hash_val": "0" * 32}, "hash_type", "is md5, which is broken and not MONAI's default"),
        ({"hash_type": None}, "hash_type", "is None, not 'sha256'"),
        ({"hash_val": "0" * 32}, "hash_val", "64 hexadecimal digits"),
        ({"hash_val": None}, "hash_val", "MONAI would take any file"),
        ({"url": "http://host/model.pt"}, "url", "serve the file by https"),
        ({"path": "models/../../model.pt"}, "path", "not a path inside the bundle"),
        ({"path": "/models/model.pt"}, "path", "not a path inside the bundle"),
    ],
)
def test_faults_of_large_files(bundle, entry, key, words):
    write_json(bundle / "large_files.json", {"large_files": [LARGE | entry]})
    assert_findings(findings(bundle), *([("large_files.json", f"large_files#0#{key}", words)] if key else []))


def test_weights_have_sums_that_are_theirs(bundle):
    weights, beside = bundle / "models/model.pt", bundle / "models/model.pt.sha256"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    assert_findings(findings(bundle), ("models/model.pt", "", "cd models && sha256sum model.pt > model.pt.sha256"))
    beside.write_text(f"{LARGE['hash_val']}  model.pt\n")
    assert findings(bundle) == []
    beside.write_text(LARGE["hash_val"])
    assert_findings(findings(bundle), ("models/model.pt.sha256", "", "is not as sha256sum writes it"))
    beside.unlink()
    write_json(bundle / "large_files.json", {"large_files": [LARGE]})
    assert findings(bundle) == []
    weights.write_bytes(b"others")
    assert_findings(findings(bundle), ("models/model.pt", "", "is not the file that its sha256 was made of"))


def test_what_cannot_be_read_stops_no_other_check(bundle, tmp_path, capsys):
    broken = write_bundle(tmp_path / "broken")
    (broken / INFER).write_text('{"device": ')
    (broken / OVERLAY).write_text('{"a": 1, "a": 2}')
    (broken / META).write_text("[]")
    (broken / TRAIN).unlink()
    assert_findings(
        findings(broken),
        (INFER, "", "cannot be read: Expecting value: line 1"),
        (META, "", "is no dictionary"),
        (OVERLAY, "", "Duplicate key: `a`"),
        (TRAIN, "", "is missing; write it, complete"),
    )
    assert lint(str(broken), str(tmp_path / "nowhere"), str(bundle)) == 5
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{broken}/{INFER}: cannot be read")
    assert lines[4] == "broken: 4 findings"
    assert lines[5:] == [
        f"{tmp_path}/nowhere: is no bundle; name a folder that holds a folder configs",
        "nowhere: 1 finding",
        "seg: no findings",
    ]
    with pytest.raises(UserError, match="name the folder of a bundle"):
        lint()


def test_macros_in_a_circle_are_found(bundle):
    change(bundle / TRAIN, "training", "%other")
    change(bundle / TRAIN, "other", "%training")
    assert_findings(findings(bundle), ("configs", "", "look for a macro that leads back to itself"))


def test_keys_that_lead_into_a_configuration_find_their_places(bundle):
    content = json.loads((bundle / TRAIN).read_text())
    inferer = content["train"].pop("inferer")
    write_json(bundle / TRAIN, content | {"train#inferer": inferer})
    assert findings(bundle) == []


@pytest.mark.skipif(find_spec("yaml") is not None, reason="PyYAML is there")
def test_yaml_needs_pyyaml(bundle):
    (bundle / "configs/other.yml").write_text("a: 1")
    assert_findings(findings(bundle), ("configs/other.yml", "", "needs PyYAML; python -m pip install pyyaml"))


def test_yaml_is_read_as_json_is(bundle):
    yaml = pytest.importorskip("yaml")
    for file in (TRAIN, INFER, OVERLAY):
        content = json.loads((bundle / file).read_text())
        (bundle / file).with_suffix(".yaml").write_text(yaml.safe_dump(content))
        (bundle / file).unlink()
    assert findings(bundle) == []
    path = (bundle / INFER).with_suffix(".yaml")
    path.write_text(path.read_text().replace("width: 4", "width: 16"))
    key = "network_def#channels#0"
    assert_findings(findings(bundle), ("configs/inference.yaml", key, "is 16, in configs/train.yaml 4"))
    path.write_text("a: [")
    assert_findings(findings(bundle), ("configs/inference.yaml", "", "cannot be read"))


@pytest.mark.parametrize("name", sorted(path.name for path in Path(BUNDLES).iterdir() if path.is_dir()))
def test_our_bundles_have_no_findings(name, tmp_path):
    # as git has them: weights and results of whoever trained in the checkout are not delivered
    shutil.copytree(BUNDLES / name, tmp_path / name, ignore=shutil.ignore_patterns("models", "eval"))
    assert [str(one) for one in findings(tmp_path / name)] == []


def test_a_reference_may_be_spelt_in_both_ways(bundle):
    change(bundle / INFER, "label_names", "$list(@_meta_::network_data_format::outputs::pred::channel_def.values())")
    assert findings(bundle) == []
