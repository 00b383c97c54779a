"""A report generator's evaluation: words, findings, and what it would score without looking."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import Tensor

from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.classification_report import write_rows
from monai_mae_ext.metrics import expected_calibration_error, roc_auc
from monai_mae_ext.metrics.report import best_constant, mention_scores, text_scores
from monai_mae_ext.reports import MENTIONED, ReportTokenizer, find_mentions, readable_report

__all__ = ["ReportEvaluation", "mentions_of"]


class ReportEvaluation:
    """After a pass over studies with reports write how good the generated ones are.

    ``evaluation.json``: word overlap (``text_scores``), precision, recall and F1 of the findings that are mentioned,
    and controls that do not look at the film. ``shuffled``: the same scores when each report is held against that of
    another patient's study. ``constant``: when every study gets one reference, of the 100 most frequent ones of this
    section the one with the best BLEU-4, which nobody could know beforehand. ``constant_finding_f1``: the best F1 of
    mentioning the same findings of every study. ``plan_calibration_error``: of the plan's probabilities.
    ``per_finding.csv``, with their AUC, and ``per_image.csv``. Runs in one process.

    Args:
        output_dir: gets the files.
        dataset_dir: folder that image paths are written relative to.
        tokenizer: the bundle's.
    """

    def __init__(
        self, output_dir: str | os.PathLike, dataset_dir: str | os.PathLike, tokenizer: ReportTokenizer
    ) -> None:
        self.output_dir, self.dataset_dir, self.tokenizer = Path(output_dir), Path(dataset_dir), tokenizer
        self.rows: list[dict[str, Any]] = []
        self.plans: list[Tensor] = []
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_batch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Workflow) -> None:
        if idist.get_world_size() > 1:
            raise ValueError("ReportEvaluation knows only the studies of its own process: evaluate with one process")
        self.rows, self.plans = [], []

    def note_batch(self, engine: Workflow) -> None:
        batch, reports = engine.state.batch, engine.state.output["pred"]
        self.plans.append(reports.findings.cpu())
        sources = batch["image"].meta["filename_or_obj"]
        for source, patient, reference, tokens, logs in zip(
            sources, batch["patient"], batch["report"], reports.tokens, reports.log_probabilities, strict=True
        ):
            self.rows.append({
                "image": os.path.relpath(source, self.dataset_dir),
                "patient": patient,
                "reference": reference,
                "generated": self.tokenizer.decode(tokens),
                "probability": logs[: len(self.tokenizer.words(tokens))].mean().exp().item(),
            })  # fmt: skip

    def write(self, engine: Workflow) -> None:
        if not self.rows:  # no film could be read, which is said at the end
            return
        references, generated, patients = (
            [row[key] for row in self.rows] for key in ("reference", "generated", "patient")
        )
        said, truly = mentions_of(generated), mentions_of(references)
        findings = mention_scores(said, truly, list(MENTIONED), patients)
        ours, others = another_patients(patients)
        constant = best_constant(references)
        summary: dict[str, Any] = {"studies": len(references), "different_reports": len(set(generated))}
        summary |= scores_of(generated, references)
        summary |= {f"finding_f1_{end}": findings[-1][f"f1_{end}"] for end in ("low", "high")}
        summary["shuffled"] = scores_of([generated[n] for n in ours], [references[n] for n in others])
        summary["constant"] = {"report": readable_report(constant)} | scores_of([constant] * len(generated), references)
        summary["constant_finding_f1"] = best_constant_f1(truly)
        summary["plan_calibration_error"] = self.judge_plans(truly, findings)
        with atomic_write(self.output_dir / "evaluation.json") as path:
            path.write_text(json.dumps(summary, indent=4) + "\n")
        write_rows(self.output_dir / "per_finding.csv", findings)
        readable = [row | {key: readable_report(row[key]) for key in ("reference", "generated")} for row in self.rows]
        write_rows(self.output_dir / "per_image.csv", readable)
        self.log(summary, findings)

    def judge_plans(self, truly: np.ndarray, rows: list[dict[str, Any]]) -> float | None:
        """Add the AUC of the plan's probabilities to the ``rows`` of findings; their calibration error, if any.

        ``truly (N, L)`` tells which of ``MENTIONED`` the references mention.
        """
        names, planned = self.tokenizer.findings, torch.cat(self.plans).numpy()
        truly = truly[:, [list(MENTIONED).index(name) for name in names]]
        scores = [roc_auc(*columns) for columns in zip(planned.T, truly.T, strict=True)]
        aucs = {name: None if math.isnan(auc) else auc for name, auc in zip(names, scores, strict=True)}
        for row in rows:
            row["auc"] = aucs.get(row["finding"])
        return expected_calibration_error(planned, truly) if names else None

    def log(self, summary: dict[str, Any], findings: list[dict[str, Any]]) -> None:
        for row in findings:
            if row["f1"] is not None:
                self.logger.info(
                    f"{row['finding']:20} present {row['present']:4}  mentioned {row['mentioned']:4}  "
                    f"F1 {row['f1']:.3f} ({row['f1_low']:.3f} to {row['f1_high']:.3f})"
                )
        for name, scores in ("reports", summary), ("shuffled", summary["shuffled"]), ("constant", summary["constant"]):
            if scores:
                self.logger.info(f"{name:20} BLEU-4 {scores['bleu_4']:.3f}  finding F1 {scores['finding_f1']:.3f}")


def scores_of(generated: list[str], references: list[str]) -> dict[str, float]:
    """Word overlap, and precision, recall and F1 of all findings (0 where undefined); nothing of no reports."""
    if not generated:
        return {}
    said, truly = mentions_of(generated), mentions_of(references)
    hits, mentioned, present = (int(counts.sum()) for counts in (said & truly, said, truly))
    return text_scores(generated, references) | {
        "finding_precision": hits / max(1, mentioned),
        "finding_recall": hits / max(1, present),
        "finding_f1": 2 * hits / max(1, mentioned + present),
    }


def mentions_of(texts: Iterable[str]) -> np.ndarray:
    """0 or 1 for each finding of each report, ``(N, L)``."""
    return np.array([find_mentions(text) for text in texts])


def best_constant_f1(present: np.ndarray) -> float:
    """The best F1 of saying the same of all studies, of whose findings ``present (N, L)`` tells."""
    hits = np.sort(present.sum(0))[::-1].cumsum()
    mentioned = len(present) * np.arange(1, len(hits) + 1)
    return float((2 * hits / (mentioned + present.sum())).max())


def another_patients(patients: list[str]) -> tuple[list[int], list[int]]:
    """Numbers of studies, and for each the number of another patient's.

    The studies, patient by patient, are moved round by half of them; where that meets the same patient they are left
    out.
    """
    order = np.argsort(patients, kind="stable")
    pairs = [
        (ours, others)
        for ours, others in zip(order.tolist(), np.roll(order, len(order) // 2).tolist(), strict=True)
        if patients[ours] != patients[others]
    ]
    return [ours for ours, _ in pairs], [others for _, others in pairs]
