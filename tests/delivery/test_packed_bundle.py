"""Packed bundles work alone: without this repository, without the package installed, from another folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import venv
from pathlib import Path

import onnxruntime
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, load
from safetensors.torch import load_file

import monai_mae_ext
from monai_mae_ext.delivery import CarriedCode, lint
from monai_mae_ext.delivery.archive import unpack
from monai_mae_ext.errors import UserError
from monai_mae_ext.networks import ViTSegmenter
from monai_mae_ext.weights import load_pretrained, read_checkpoint
from tests.delivery.conftest import TINY
from tests.processes import run_module

PACKAGE = Path(monai_mae_ext.__file__).parent


@pytest.fixture(scope="module")
def home(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All bundles unpacked, in a folder that is not the repository; to be left as it is."""
    folder = tmp_path_factory.mktemp("home")
    for name in TINY:
        unpack(zoo / f"{name}_v0.1.0.zip", folder, name)
    return folder


def run_alone(words: list[str], folder: Path) -> subprocess.CompletedProcess:
    """``python -m monai.bundle`` where nobody installed the package."""
    done = run_module("monai.bundle", words, folder, hidden="monai_mae_ext")
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.parametrize("name", TINY)
def test_what_the_public_zoo_asks(name, home, tmp_path):
    """Network in and out, TorchScript and ONNX, without the package, from another folder; with PyTorch's numbers."""
    bundle = home / name
    configs = ["--config_file", str(bundle / "configs" / "inference.json"), "--bundle_root", str(bundle)]
    meta = ["--meta_file", str(bundle / "configs" / "metadata.json")]
    schema = PACKAGE / "delivery" / "metadata_schema.json"
    run_alone(["verify_metadata", *meta, "--filepath", str(schema)], tmp_path)
    run_alone(["verify_net_in_out", "network_def", *meta, *configs], tmp_path)
    weights = ["--ckpt_file", str(bundle / "models" / "model.pt")]
    run_alone(["ckpt_export", "network_def", "--filepath", "model.ts", *weights, *meta, *configs], tmp_path)
    run_alone(["onnx_export", "network_def", "--filepath", "model.onnx", *weights, *meta, *configs], tmp_path)
    network, image = network_and_image(bundle)
    with torch.no_grad():
        wanted = network.eval()(image)
    torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts").eval()(image), wanted)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-3, atol=1e-4)


def network_and_image(bundle: Path) -> tuple[torch.nn.Module, torch.Tensor]:
    """A bundle's network with its weights, and noise of the size that its metadata names."""
    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "inference.json"))
    parser.read_meta(bundle / "configs" / "metadata.json")
    parser["bundle_root"] = str(bundle)
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(read_checkpoint(bundle / "models" / "model.pt"))
    data = parser["_meta_"]["network_data_format"]["inputs"]["image"]
    generator = torch.Generator().manual_seed(0)
    return network, torch.rand(1, data["num_channels"], *data["spatial_shape"], generator=generator)


RUNS = {
    "cxr_mae_pretraining": "films",
    "cxr_disease_classification": "films",
    "cxr_report_generation": "films",
    "ct_superpatch_pretraining": "volumes",
    "ct_multiorgan_segmentation": "volumes",
    "mri_tumor_pretraining": "brains",
    "mri_tumor_segmentation": "brains",
}


@pytest.mark.parametrize("name", RUNS)
def test_stock_monai_downloads_and_runs_it(name, zoo, serve, tmp_path, request):
    """Training for an epoch, evaluation and inference of a bundle that was downloaded alone."""
    data = request.getfixturevalue(RUNS[name])
    zipped = f"{serve(zoo)}/{name}_v0.1.0.zip"
    run_alone(["download", "--name", name, "--url", zipped, "--bundle_dir", str(tmp_path / "home")], tmp_path)
    bundle, out = tmp_path / "home" / name, tmp_path / "out"
    keys = ["--bundle_root", str(bundle), "--dataset_dir", str(data)]

    def run(verb: str, *files: str, **overrides: object) -> None:
        named = str([str(bundle / "configs" / file) for file in files])
        words = [word for key, value in overrides.items() for word in (f"--{key}", str(value))]
        run_alone(["run", verb, "--config_file", named, *keys, *words], tmp_path)

    fast = {"epochs": 1, "warmup_epochs": 0, "ckpt_dir": tmp_path / "models"}
    run("training", "train.json", output_dir=out / "train", **fast)
    assert (tmp_path / "models" / "model.pt").is_file()
    run("evaluating", "train.json", "evaluate.json", output_dir=out / "evaluate", ckpt_dir=tmp_path / "models")
    assert json.loads((out / "evaluate" / "evaluation.json").read_text())
    fitted = name in ("cxr_disease_classification", "cxr_report_generation")  # training left more than weights
    ours = {"ckpt_dir": tmp_path / "models"} if fitted else {}
    run("inferring", "inference.json", section="test", output_dir=out / "inference", **ours)
    assert [path for path in (out / "inference").rglob("*") if path.is_file()]
    for kind in ("train", "inference"):
        workflow = ConfigWorkflow(
            str(bundle / "configs" / f"{kind}.json"), workflow_type=kind, logging_file=False, bundle_root=str(bundle),
            dataset_dir=str(data), output_dir=str(out),
        )  # fmt: skip
        workflow.initialize()
        assert workflow.check_properties() == []


def test_in_an_environment_that_has_only_its_requirements(home, volumes, tmp_path):
    """A Python of its own, where ``import monai_mae_ext`` fails."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (site / "requirements.pth").write_text(str(Path(torch.__file__).parents[1]))
    assert subprocess.run([python, "-c", "import monai_mae_ext"], cwd=tmp_path, capture_output=True).returncode == 1
    bundle = home / "ct_multiorgan_segmentation"
    words = ["run", "--config_file", bundle / "configs" / "inference.json", "--bundle_root", bundle]
    (tmp_path / "scans").mkdir()
    shutil.copy(next((volumes / "images").iterdir()), tmp_path / "scans")
    words += ["--dataset_dir", tmp_path / "scans", "--output_dir", tmp_path / "out"]
    done = subprocess.run([python, "-m", "monai.bundle", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list((tmp_path / "out").rglob("*_seg.nii.gz"))) == 1


def test_a_packed_bundle_has_no_findings(home, capsys):
    assert lint(*(str(home / name) for name in TINY)) == 0, capsys.readouterr().out


def test_another_installed_version_is_told(home, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(home / "ct_multiorgan_segmentation"))
    carried = __import__(f"{CarriedCode().name}.bundle", fromlist=["bundle"])
    monkeypatch.setattr(carried, "version", lambda name: carried.__version__)
    carried.start_bundle()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(carried, "version", lambda name: "9.9.9")
    carried.start_bundle()
    assert "runs the monai_mae_ext 0.1.0 that it carries, not the installed 9.9.9" in capsys.readouterr().out


def test_weights_are_published_twice_with_sums_and_checked_when_they_are_read(home, tmp_path):
    models = tmp_path / "models"
    shutil.copytree(home / "ct_superpatch_pretraining" / "models", models)
    weights = read_checkpoint(models / "model.pt")
    again = load_file(models / "model.safetensors")
    assert weights.keys() == again.keys()
    for key, value in weights.items():
        torch.testing.assert_close(again[key], value, rtol=0, atol=0)
    for path in models.glob("*.sha256"):
        checksum, name = path.read_text().split()
        assert hashlib.sha256((models / name).read_bytes()).hexdigest() == checksum
    changed = bytearray((models / "model.pt").read_bytes())
    changed[len(changed) // 2] ^= 1
    (models / "model.pt").write_bytes(changed)
    with pytest.raises(UserError, match=r"model.pt is not the file that was published"):
        read_checkpoint(models / "model.pt")


def test_python_loads_it(home, monkeypatch):
    name = "ct_multiorgan_segmentation"
    monkeypatch.syspath_prepend(str(home / name))
    network = load(name, bundle_dir=str(home))
    weights = read_checkpoint(home / name / "models" / "model.pt")
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value.cpu(), weights[key], rtol=0, atol=0)


def test_a_published_encoder_starts_a_segmenter(home):
    segmenter, _ = network_and_image(home / "ct_multiorgan_segmentation")
    fresh = ViTSegmenter(**segmenter.facts)
    report = load_pretrained(fresh.encoder, home / "ct_superpatch_pretraining" / "models" / "encoder.safetensors")
    assert {fate for fate, _ in report.fates.values()} <= {"loaded", "unused"}
