"""The command: what it reads, what it prints, and bundles without faults."""

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
    INFER,
    META,
    OVERLAY,
    TRAIN,
    assert_findings,
    change,
    write_bundle,
    write_json,
)


def test_a_bundle_without_faults_has_no_findings(bundle, capsys):
    assert findings(bundle) == []
    assert lint(str(bundle)) == 0
    assert capsys.readouterr().out == "seg: no findings\n"


@pytest.mark.parametrize(("name", "workflow"), [("train", "train"), ("inference", "infer")])
def test_monai_itself_finds_no_fault_in_that_bundle(bundle, name, workflow):
    own = ConfigWorkflow(str(bundle / f"configs/{name}.json"), workflow_type=workflow, logging_file=False)
    own.initialize()
    assert own.check_properties() == []


@pytest.mark.parametrize("name", sorted(path.name for path in Path(BUNDLES).iterdir() if path.is_dir()))
def test_our_bundles_have_no_findings(name, tmp_path):
    # as git has them: weights and results of whoever trained in the checkout are not delivered
    shutil.copytree(BUNDLES / name, tmp_path / name, ignore=shutil.ignore_patterns("models", "eval"))
    assert [str(one) for one in findings(tmp_path / name)] == []


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


def test_a_reference_may_be_spelt_in_both_ways(bundle):
    change(bundle / INFER, "label_names", "$list(@_meta_::network_data_format::outputs::pred::channel_def.values())")
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
