"""The bundle from end to end on phantoms: train from an encoder, evaluate, write reports; errors in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from monai_mae_ext.data import report_datalist
from monai_mae_ext.familiarity import Familiarity
from monai_mae_ext.handlers.history import read_history
from monai_mae_ext.handlers.report_evaluation import ReportEvaluation, another_patients, best_constant_f1, mentions_of
from monai_mae_ext.metrics import Calibration, bleu
from monai_mae_ext.networks import MaskedAutoencoder, save_encoder
from monai_mae_ext.reports import MENTIONED, ReportTokenizer, clean_report
from tests.bundles.conftest import folder_with_a_broken_film, rows_of, run_bundle, train_in_processes

NAME = "cxr_report_generation"
TINY = Path(__file__).parent / "tiny_report.json"
TRAIN = ["train.json", str(TINY)]
EVALUATE = ["train.json", str(TINY), "evaluate.json"]
INFER = ["inference.json", str(TINY)]
pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def trained(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs from an encoder of half the size: ``models`` and ``train``."""
    run = tmp_path_factory.mktemp("reports")
    torch.manual_seed(0)
    network = MaskedAutoencoder(
        2, 1, 32, 16, hidden_size=48, mlp_dim=96, num_layers=2, num_heads=4,
        decoder_hidden_size=24, decoder_mlp_dim=48, decoder_num_layers=1, decoder_num_heads=2,
    )  # fmt: skip
    save_encoder(network, run / "encoder.safetensors")
    keys = {"dataset_dir": films, "ckpt_dir": run / "models", "output_dir": run / "train"}
    done = run_bundle(NAME, "training", TRAIN, pretrained=run / "encoder.safetensors", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    for words in ("interpolated", "tell what is familiar", "cannot calibrate the plan"):
        assert words in done.stdout
    return run


def test_training_leaves_weights_a_tokenizer_and_history(trained: Path, films: Path) -> None:
    rows = read_history(trained / "train" / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2] and 0 <= rows[-1]["val_bleu_4"] <= 1
    state = torch.load(trained / "models" / "last.pt", weights_only=True)
    assert state["facts"]["vocab_size"] == 120 and state["best"]["metric"] == max(row["val_bleu_4"] for row in rows)
    rates = {group["lr"] for group in state["optimizer"]["param_groups"]}
    assert len(rates) == 2 or rates == {0.0}  # the encoder's and the decoder's
    tokenizer = ReportTokenizer.load(trained / "models" / "tokenizer.json", 120)
    calibration = Calibration.load(trained / "models" / "calibration.json", tokenizer.findings)
    assert calibration == Calibration.neutral(tokenizer.findings), "no validation report mentions one of them"
    report = report_datalist(films, "training")[0]["report"]
    assert tokenizer.decode(tokenizer.encode(report, 50)) == report


def test_a_finished_run_is_not_trained_again(trained: Path, films: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "models", tmp_path / "models")
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 0 and "all epochs are done" in done.stdout
    names = ("model.pt", "tokenizer.json", "last.pt")
    assert all((tmp_path / "models" / n).read_bytes() == (trained / "models" / n).read_bytes() for n in names)


def test_evaluation_agrees_with_its_own_table(trained: Path, films: Path) -> None:
    out = trained / "evaluate"
    keys = {"dataset_dir": films, "ckpt_dir": trained / "models", "output_dir": out}
    done = run_bundle(NAME, "evaluating", EVALUATE, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    scores, rows = json.loads((out / "evaluation.json").read_text()), rows_of(out / "per_image.csv")
    assert scores["studies"] == len(rows) == len(report_datalist(films, "test"))
    generated, references = ([clean_report(row[key]) for row in rows] for key in ("generated", "reference"))
    assert scores["bleu_4"] == pytest.approx(bleu(generated, references))
    assert references == [item["report"] for item in report_datalist(films, "test")]
    constant = clean_report(scores["constant"]["report"])
    assert scores["constant"]["bleu_4"] == pytest.approx(bleu([constant] * len(rows), references))
    assert scores["constant"]["bleu_4"] >= scores["bleu_4"] or scores["different_reports"] > 1
    assert set(scores["shuffled"]) >= {"bleu_4", "finding_f1", "cider_d"}
    findings = {row["finding"]: row for row in rows_of(out / "per_finding.csv")}
    assert list(findings) == [*MENTIONED, "all"] and 0 <= scores["plan_calibration_error"] <= 1


def test_inference_gives_every_study_a_row(trained: Path, films: Path, tmp_path: Path) -> None:
    folder, models = tmp_path / "scans", tmp_path / "models"
    shutil.copytree(trained / "models", models)
    names = folder_with_a_broken_film(folder, films)
    for threshold, out in ((2.0, tmp_path / "familiar"), (0.0, tmp_path / "unfamiliar")):
        known = Familiarity.load(models / "familiarity.safetensors")
        Familiarity(known.features, threshold).save(models / "familiarity.safetensors")
        keys = {"dataset_dir": folder, "ckpt_dir": models, "output_dir": out, "refuse_unfamiliar": True}
        done = run_bundle(NAME, "inferring", INFER, **keys)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        left_out = 1 if threshold else 4
        assert done.stderr.splitlines()[-1].startswith(f"error: {left_out} of 4 files were left out: broken.png")
        rows = {row["image"]: row for row in rows_of(out / "reports.csv")}
        assert set(rows) == {"broken.png", *names}
        assert "download it again" in rows["broken.png"]["reason"] and not rows["broken.png"]["report"]
        for record in json.loads((out / "reports.json").read_text()):
            row, picture = rows[record["image"]], out / f"{record['image'][:-4]}_report.png"
            if threshold and record["image"] in names:
                assert not row["reason"] and row["report"] == record["report"]
                written = " ".join(word["word"] for word in record["words"])
                assert clean_report(row["report"]) == clean_report(written)
                assert all(0 < word["probability"] <= 1 for word in record["words"])
                assert record["finding_probabilities"] and set(record["finding_probabilities"]) <= set(MENTIONED)
                assert Image.open(picture).size[0] > 200
            else:
                assert row["reason"] and not row["report"] and "words" not in record and not picture.exists()
                assert record["image"] not in names or "does not look like" in row["reason"]


def test_two_views_make_one_report(films: Path, tmp_path: Path) -> None:
    """Every film twice, in R2Gen's layout, as frontal and lateral."""
    sections = json.loads((films / "annotation.json").read_text())
    for entry in (entry for entries in sections.values() for entry in entries):
        entry["image_path"] *= 2
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(films / "images")
    (tmp_path / "data" / "annotation.json").write_text(json.dumps(sections))
    keys = {"dataset_dir": tmp_path / "data", "ckpt_dir": tmp_path / "models", "views": "['image','lateral']"}
    done = run_bundle(NAME, "training", TRAIN, epochs=1, output_dir=tmp_path / "train", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    done = run_bundle(NAME, "inferring", INFER, section="test", output_dir=tmp_path / "out", **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all(row["report"] and not row["reason"] for row in rows_of(tmp_path / "out" / "reports.csv"))


def test_processes_share_the_studies(films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "train"}
    done = train_in_processes(2, NAME, TRAIN, epochs=1, **keys)
    assert done.returncode == 0, done.stderr[-3000:]
    n_validation = len(report_datalist(films, "validation"))
    assert len(Familiarity.load(tmp_path / "models" / "familiarity.safetensors").features) >= n_validation
    assert {path.name for path in (tmp_path / "models").iterdir()} >= {"model.pt", "last.pt", "tokenizer.json"}


def test_errors_take_one_line(trained: Path, films: Path, tmp_path: Path) -> None:
    keys = {"dataset_dir": films / "images", "ckpt_dir": tmp_path, "output_dir": tmp_path}
    done = run_bundle(NAME, "training", TRAIN, **keys)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("error: ")
    assert "has no reports" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    shutil.copy(trained / "models" / "model.pt", tmp_path)
    done = run_bundle(NAME, "inferring", INFER, dataset_dir=films, ckpt_dir=tmp_path, output_dir=tmp_path / "o")
    assert done.returncode == 1 and "tokenizer.json: train with this bundle first" in done.stderr.splitlines()[-1]


def test_plans_are_judged_by_their_probabilities() -> None:
    tokenizer = ReportTokenizer.fit(["a mass .", "an effusion ."] * 3, 20)
    evaluation, rows = ReportEvaluation(".", ".", tokenizer), [{"finding": "Mass"}, {"finding": "all"}]
    evaluation.plans = [torch.tensor([[0.2, 0.8], [0.4, 0.6]]), torch.tensor([[0.4, 0.7]])]  # of effusion and mass
    assert evaluation.judge_plans(mentions_of(["a mass .", "clear .", "clear ."]), rows) == pytest.approx(
        2.5 / 6, rel=1e-4
    )
    assert rows == [{"finding": "Mass", "auc": 1.0}, {"finding": "all", "auc": None}]


def test_controls_that_do_not_look_at_the_film() -> None:
    ours, others = another_patients(["A", "A", "A", "B"])
    assert all({n, m} & {3} for n, m in zip(ours, others, strict=True)) and len(ours) == 2
    ours, others = another_patients([f"patient{n}" for n in range(9)])
    assert sorted(ours) == sorted(others) == list(range(9)) and all(n != m for n, m in zip(ours, others, strict=True))
    assert another_patients(["A", "A"]) == ([], [])
    present = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 0]])  # saying the first of all: 2 hits of 3 said, 4 there
    assert best_constant_f1(present) == pytest.approx(max(2 * 2 / (3 + 4), 2 * 3 / (6 + 4), 2 * 4 / (9 + 4)))
