"""Does the saliency of a finding point at it? Findings planted into phantoms of patients that no data set holds.

Run from the top of the repository: python -m benchmarks.planted_findings CKPT_DIR

CKPT_DIR is that of a run of ``cxr_disease_classification`` on phantoms. Each patient is drawn twice, without and with
the finding; where the films differ is where it lies. The score is the AUC of the occlusion map against that place,
token by token: .5 is chance. The interval is a bootstrap over patients.
"""

from __future__ import annotations

import fire
import numpy as np
import torch
import torch.nn.functional as F

from monai_mae_ext.data import CHESTXRAY14_LABELS
from monai_mae_ext.metrics import roc_auc
from monai_mae_ext.networks import ViTClassifier
from monai_mae_ext.occlusion import token_occlusion
from monai_mae_ext.phantoms import chest_phantom
from monai_mae_ext.weights import load_weights, read_checkpoint

FIRST_PATIENT = 2**31  # data sets draw their patients below
MEAN, STD = 0.5, 0.225
VISIBLE_DIFFERENCE = 0.02
TOUCHED = 0.01  # share of a token's pixels


def place_of(patient: int, finding: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Film with the finding ``(size, size)``, and where it differs from the film without it, bool."""
    healthy, ill = (chest_phantom(patient, size, findings).image for findings in ((), (finding,)))
    return ill, np.abs(ill - healthy) > VISIBLE_DIFFERENCE


def main(ckpt_dir: str, patients: int = 400) -> None:
    """Print a table, a row a finding."""
    network = ViTClassifier(**read_checkpoint(f"{ckpt_dir}/last.pt")["facts"])
    load_weights(network, read_checkpoint(f"{ckpt_dir}/model.pt"), ckpt_dir)
    size, grid = network.facts["img_size"], network.encoder.grid
    print("| planted finding | patients | AUC of the map (95 %) | films above chance |\n|---|---|---|---|")
    for finding in ("Nodule", "Mass", "Pneumothorax", "Effusion"):
        scores = []
        for patient in range(FIRST_PATIENT, FIRST_PATIENT + patients):
            film, place = place_of(patient, finding, size)
            tokens = F.adaptive_avg_pool2d(torch.from_numpy(place)[None].float(), grid)[0] > TOUCHED
            if tokens.any():
                image = (torch.from_numpy(film)[None] - MEAN) / STD
                relevance = token_occlusion(network, image)[CHESTXRAY14_LABELS.index(finding)]
                scores.append(roc_auc(relevance.flatten(), tokens.flatten().int()))
        resampled = np.random.default_rng(0).choice(scores, (1000, len(scores))).mean(1)
        low, high = np.percentile(resampled, (2.5, 97.5))
        above = np.mean(np.array(scores) > 0.5)
        print(f"| {finding} | {len(scores)} | {np.mean(scores):.3f} ({low:.3f} to {high:.3f}) | {above:.0%} |")


if __name__ == "__main__":
    fire.Fire(main)
