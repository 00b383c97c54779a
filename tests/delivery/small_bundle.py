"""A small bundle without faults, of stock MONAI, and ways to put some in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from monai_mae_ext.delivery import Finding

TENSOR = {
    "type": "image",
    "format": "hounsfield",
    "num_channels": 1,
    "spatial_shape": [16, "16*n", "*"],
    "dtype": "float32",
    "value_range": [0, 1],
}
TEXTS = ("task", "description", "authors", "copyright")
RELEASES = {"monai_version": "1.6.1", "pytorch_version": "2.13.0", "numpy_version": "2.4.6"}
METADATA = {
    "schema": "https://project-monai.github.io/schema/meta_schema_20240725.json",
    "version": "0.1.0",
    "changelog": {"0.1.0": "first version"},
    **RELEASES,
    "required_packages_version": {"nibabel": "5.4.2"},
    **dict.fromkeys(TEXTS, "text"),
    "network_data_format": {
        "inputs": {"image": TENSOR},
        "outputs": {
            "pred": TENSOR
            | {"format": "segmentation", "num_channels": 2, "channel_def": {"0": "nothing", "1": "spleen"}}
        },
    },
}
COMMON = {
    "imports": ["$import os", "$from monai.utils import first"],
    "bundle_root": ".",
    "dataset_dir": "$@bundle_root + '/data'",
    "device": "$torch.device('cpu')",
    "label_names": "$list(@_meta_#network_data_format#outputs#pred#channel_def.values())",
    "width": 4,
}
NETWORK = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": "$len(@label_names)",
    "channels": ["@width", 8],
    "strides": [2],
}


def transforms(keys: str | list[str]) -> list[dict]:
    return [
        {"_target_": "LoadImaged", "keys": keys},
        {"_target_": "Spacingd", "keys": keys, "pixdim": [1.0, 1.0, "@slice"]},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 0, "a_max": 9, "b_min": 0, "b_max": 1},
    ]


TRAINING = COMMON | {
    "slice": 2.0,
    "network_def": NETWORK | {"dropout": 0.1},
    "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network_def.parameters()", "lr": 0.1},
    "val_interval": 1,
    "random": [{"_target_": "RandFlipd", "keys": "image"}, {"_target_": "ScaleIntensityd", "keys": "label"}],
    "train": {
        "deterministic": transforms(["image", "label"]),
        "preprocessing": {"_target_": "Compose", "transforms": "$@train#deterministic + @random"},
        "dataset": {"_target_": "Dataset", "data": [], "transform": "@train#preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@train#dataset"},
        "inferer": {"_target_": "SimpleInferer"},
        "handlers": [
            {"_target_": "ValidationHandler", "validator": "@validate#evaluator", "interval": "@val_interval"},
            {"_target_": "StatsHandler", "output_transform": "$lambda x: first(x)"},
        ],
        "trainer": {
            "_target_": "SupervisedTrainer",
            "max_epochs": 2,
            "device": "@device",
            "train_data_loader": "@train#dataloader",
            "network": "$@network_def.to(@device)",
            "optimizer": "@optimizer",
            "loss_function": {"_target_": "DiceLoss"},
            "inferer": "@##inferer",
            "train_handlers": "@train#handlers",
        },
    },
    "validate": {
        "preprocessing": "%train#preprocessing",
        "dataset": {"_target_": "Dataset", "data": [], "transform": "@validate#preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@validate#dataset"},
        "handlers": [{"_target_": "StatsHandler"}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@validate#dataloader",
            "network": "@network_def",
            "val_handlers": "@validate#handlers",
        },
    },
    "run": ["$@train#trainer.run()"],
    "training": "%run",
}
INFERRING = COMMON | {
    "slice": 2,
    "network_def": NETWORK,
    "preprocessing": {"_target_": "Compose", "transforms": transforms("image")},
    "dataset": {"_target_": "Dataset", "data": [], "transform": "@preprocessing"},
    "dataloader": {"_target_": "DataLoader", "dataset": "@dataset"},
    "inferer": {"_target_": "SimpleInferer"},
    "handlers": [{"_target_": "StatsHandler"}],
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network_def",
        "inferer": "@inferer",
        "val_handlers": "@handlers",
    },
    "run": ["$@evaluator.run()"],
}
CARD = """# seg

**Intended use.** Research.

**Model.** A small U-Net. **Data.** in the middle of a line is no lead.

## Training data
## Performance
### Limitations and biases
## How to cite

**Hardware.** Any.
"""
META, TRAIN, INFER, OVERLAY = (f"configs/{name}.json" for name in ("metadata", "train", "inference", "overlay"))
CONFIGS = {META: METADATA, TRAIN: TRAINING, INFER: INFERRING, OVERLAY: {"train#trainer#max_epochs": 9}}
DIGEST = hashlib.sha256(b"weights").hexdigest()
LARGE = {"path": "models/model.pt", "url": "https://host/model.pt", "hash_val": DIGEST, "hash_type": "sha256"}
REMOVE = object()


def write_bundle(folder: Path) -> Path:
    """A small bundle without faults."""
    for file, content in CONFIGS.items():
        write_json(folder / file, content)
    (folder / "docs").mkdir()
    (folder / "docs/README.md").write_text(CARD)
    (folder / "docs/data_license.txt").write_text("no data")
    (folder / "LICENSE").write_text("Apache")
    return folder


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def change(path: Path, id: str, value: object) -> None:
    """Set or remove one item of a configuration."""
    content = json.loads(path.read_text())
    *parents, last = (int(key) if key.isdigit() else key for key in id.split("#"))
    place = content
    for key in parents:
        place = place[key]
    if value is REMOVE:
        del place[last]
    else:
        place[last] = value
    write_json(path, content)


def assert_findings(found: list[Finding], *expected: tuple[str, str, str]) -> None:
    """Exactly these, by file, key and words of the line."""
    assert [(one.file, one.key) for one in found] == [one[:2] for one in expected], [str(one) for one in found]
    for one, (_, _, words) in zip(found, expected, strict=True):
        assert words in str(one), str(one)
