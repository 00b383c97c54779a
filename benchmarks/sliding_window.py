"""Inference of a whole scan: windows where the body is, against MONAI's default call, which computes all of them.

Run from the top of the repository: python -m benchmarks.sliding_window CKPT_DIR

CKPT_DIR is that of a run of ``ct_multiorgan_segmentation``. The scan is an abdominal phantom at several spacings, so
that the network's window spans more or less of the body: in a field of view of 500 mm, as scanners reconstruct it, and
in the box around the body, as the bundle's ``CropForegroundd`` leaves it. Both sides have the same windows, batch and
blending (MONAI's defaults) and take turns, after a round to warm up; labels are compared inside the body. The third
side is ours with the network run by ONNX Runtime on as many threads (needs the extra ``onnx``).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

import fire
import onnxruntime
import torch
import torch.nn.functional as F
from monai.inferers import sliding_window_inference
from monai.transforms import BoundingRect
from monai.utils import ensure_tuple_rep
from torch import Tensor, nn

from monai_mae_ext.bench.machine import describe_machine, machine_line
from monai_mae_ext.inferers import BodyWindowInferer, body_mask
from monai_mae_ext.networks import ViTSegmenter
from monai_mae_ext.phantoms import abdomen_phantom
from monai_mae_ext.weights import load_weights, read_checkpoint

FIELD_MM = 500
HU_LOW, HU_HIGH = -175, 250
BATCH, OVERLAP = 4, 0.25


class Counting(nn.Module):
    """A network that counts the windows it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.windows = network, 0

    def forward(self, image: Tensor) -> Tensor:
        self.windows += len(image)
        return self.network(image)


class InOnnxRuntime(nn.Module):
    """A network as ONNX Runtime computes it, for any number of windows at once."""

    def __init__(self, network: ViTSegmenter, side: int) -> None:
        super().__init__()
        image = torch.zeros(2, network.facts["in_channels"], *[side] * 3)
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            batch = {0: torch.export.Dim("batch")}
            torch.onnx.export(
                network, (image,), file.name, input_names=["image"], dynamic_shapes=(batch,), dynamo=True,
                verbose=False, external_data=False,
            )  # fmt: skip
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            self.session = onnxruntime.InferenceSession(file.name, options, providers=["CPUExecutionProvider"])

    def forward(self, image: Tensor) -> Tensor:
        return torch.from_numpy(self.session.run(None, {"image": image.numpy()})[0])


def scan(spacing: float) -> tuple[Tensor, Tensor]:
    """A scan ``(1, 1, *S)`` in 0..1, and where an organ or the patient's inside is, bool."""
    phantom = abdomen_phantom(0, (spacing, spacing, spacing))
    image = ((torch.from_numpy(phantom.image).float() - HU_LOW) / (HU_HIGH - HU_LOW)).clip(0, 1)
    margins = [max(0, round(FIELD_MM / spacing) - side) for side in image.shape[:2]]
    pad = [0, 0] + [half for margin in reversed(margins) for half in (margin // 2, margin - margin // 2)]
    image = F.pad(image, pad)[None, None]
    return image, (image > 0) & body_mask(image, 0.0)


def compare(image: Tensor, body: Tensor, network: Counting, onnx: Counting, side: int, rounds: int) -> str:
    """Cells of the table for one scan."""
    ours = BodyWindowInferer(side, BATCH, OVERLAP, "constant")
    sides: dict[str, tuple[Counting, Callable[[], Tensor]]] = {
        "monai": (network, lambda: sliding_window_inference(image, [side] * 3, BATCH, network, OVERLAP)),  # type: ignore
        "ours": (network, lambda: ours(image, network)),
        "onnx": (onnx, lambda: ours(image, onnx)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    labels, windows = {}, {}
    for _ in range(rounds + 1):
        for name, (counting, work) in sides.items():
            counting.windows, started = 0, time.perf_counter()
            scores = work()
            seconds[name].append(time.perf_counter() - started)
            labels[name], windows[name] = scores.argmax(1, keepdim=True), counting.windows
    measured = {name: times[1:] for name, times in seconds.items()}
    cells = [f"{windows['monai']} in {statistics.median(measured['monai']):.1f} s"]
    for name in ("ours", "onnx"):
        ratios = [theirs / own for theirs, own in zip(measured["monai"], measured[name], strict=True)]
        differ = int((labels["monai"] != labels[name])[body].sum())
        cells += [
            f"{windows[name]} in {statistics.median(measured[name]):.1f} s",
            f"**{statistics.median(ratios):.2f}x** ({min(ratios):.2f} to {max(ratios):.2f})",
            f"{differ:,} of {int(body.sum()):,}",
        ]
    return " | ".join(cells)


def main(ckpt_dir: str, spacings: tuple[float, ...] = (1.5, 2.0, 3.0), rounds: int = 3) -> None:
    """Print a table, two rows a spacing."""
    segmenter = ViTSegmenter(**read_checkpoint(f"{ckpt_dir}/last.pt")["facts"]).eval()
    load_weights(segmenter, read_checkpoint(f"{ckpt_dir}/model.pt"), ckpt_dir)
    side = ensure_tuple_rep(segmenter.facts["img_size"], 3)[0]
    network, onnx = Counting(segmenter), Counting(InOnnxRuntime(segmenter, side))
    print(machine_line(describe_machine(torch.device("cpu"))))
    heads = ["window", "field", "MONAI", "windows of the body", "speedup", "voxels of the body that differ"]
    heads += ["with ONNX Runtime", "speedup", "differ"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|", flush=True)
    for spacing in spacings:
        image, body = scan(spacing)
        low, high = BoundingRect()(body[0].float())[0].reshape(3, 2).T.tolist()
        box = (..., *(slice(start, end) for start, end in zip(low, high, strict=True)))
        for field, where in {f"{FIELD_MM} mm": (...,), "box round the body": box}.items():
            with torch.inference_mode():
                cells = compare(image[where], body[where], network, onnx, side, rounds)
            print(f"| {side * spacing:.0f} mm | {field} | {cells} |", flush=True)


if __name__ == "__main__":
    fire.Fire(main)
