"""A report generator's evaluation: words, findings, and what it would score without looking."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
from ignite.engine import Events
from monai.engines import Workflow

from monai_mae_ext.files import atomic_write
from monai_mae_ext.handlers.classification_report import write_rows
from monai_mae_ext.metrics.report import best_constant, mention_scores, text_scores
from monai_mae_ext.reports import MENTIONED, ReportTokenizer, find_mentions, readable_report

__all__ = ["ReportEvaluation"]


class ReportEvaluation:
    """After a pass over studies with reports write how good the generated ones are.

    ``evaluation.json``: word overlap (``text_scores``), precision, recall and F1 of the findings that are mentioned,
    and two controls under ``shuffled``: the same scores when each report is held against that of another patient's
    study, and ``constant``: when every study gets the one reference of this section that scores best, which nobody
    could know beforehand. ``per_finding.csv``, ``per_image.csv``. Runs in one process.

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
        self.logger = logging.getLogger(__name__)

    def attach(self, engine: Workflow) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.note_batch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def start(self, engine: Workflow) -> None:
        if idist.get_world_size() > 1:
            raise ValueError("ReportEvaluation knows only the studies of its own process: evaluate with one process")
        self.rows = []

    def note_batch(self, engine: Workflow) -> None:
        batch, reports = engine.state.batch, engine.state.output["pred"]
        sources = batch["image"].meta["filename_or_obj"]
        for source, patient, reference, tokens, logs in zip(
            sources, batch["patient"], batch["report"], reports.tokens, reports.log_probabilities, strict=True
        ):
            self.rows.append({
                "image": os.path.relpath(source, self.dataset_dir),
                "patient": patient,
                "reference": reference,
                "generated": self.tokenizer.decode(tokens),
                "probability": logs[tokens != 0].mean().exp().item(),
            })  # fmt: skip

    def write(self, engine: Workflow) -> None:
        references = [row["reference"] for row in self.rows]
        generated = [row["generated"] for row in self.rows]
        patients = [row["patient"] for row in self.rows]
        findings = mention_scores(
            [find_mentions(text) for text in generated], [find_mentions(text) for text in references],
            list(MENTIONED), patients,
        )  # fmt: skip
        constant = best_constant(references)
        summary: dict[str, Any] = {"studies": len(references), "different_reports": len(set(generated))}
        summary |= scores_of(generated, references)
        summary |= {f"finding_f1_{end}": findings[-1][f"f1_{end}"] for end in ("low", "high")}
        summary["shuffled"] = scores_of(generated, [references[other] for other in another_patients(patients)])
        summary["constant"] = {"report": readable_report(constant)} | scores_of([constant] * len(generated), references)
        with atomic_write(self.output_dir / "evaluation.json") as path:
            path.write_text(json.dumps(summary, indent=4) + "\n")
        write_rows(self.output_dir / "per_finding.csv", findings)
        readable = [row | {key: readable_report(row[key]) for key in ("reference", "generated")} for row in self.rows]
        write_rows(self.output_dir / "per_image.csv", readable)
        self.log(summary, findings)

    def log(self, summary: dict[str, Any], findings: list[dict[str, Any]]) -> None:
        for row in findings:
            if row["f1"] is not None:
                self.logger.info(
                    f"{row['finding']:20} present {row['present']:4}  mentioned {row['mentioned']:4}  "
                    f"F1 {row['f1']:.3f} ({row['f1_low']:.3f} to {row['f1_high']:.3f})"
                )
        for name, scores in ("reports", summary), ("shuffled", summary["shuffled"]), ("constant", summary["constant"]):
            self.logger.info(f"{name:20} BLEU-4 {scores['bleu_4']:.3f}  finding F1 {scores['finding_f1']:.3f}")


def scores_of(generated: list[str], references: list[str]) -> dict[str, float]:
    """Word overlap, and precision, recall and F1 of all findings (0 where undefined)."""
    predicted, present = ([find_mentions(text) for text in texts] for texts in (generated, references))
    total = mention_scores(predicted, present, list(MENTIONED))[-1]
    return text_scores(generated, references) | {
        f"finding_{score}": total[score] or 0.0 for score in ("precision", "recall", "f1")
    }


def another_patients(patients: list[str]) -> np.ndarray:
    """For each study the number of another patient's: the studies, patient by patient, moved round by half of them."""
    order = np.argsort(patients, kind="stable")
    moved = np.empty(len(order), dtype=int)
    moved[order] = np.roll(order, len(order) // 2)
    return moved
