"""Training tasks: a bundle's own training, on the labels or the images of the server's studies."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai.bundle
from filelock import FileLock, Timeout
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from monai_mae_ext.checksums import sum_beside
from monai_mae_ext.errors import UserError, show_user_errors
from monai_mae_ext.handlers.calibrate import CALIBRATION, FAMILIARITY
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.training_data import Items, read_findings, split
from monai_mae_ext.weights import export_encoder

__all__ = ["ClassificationTraining", "PretrainingTask", "SegmentationTraining"]

logger = logging.getLogger(__name__)
FILMS_TO_CALIBRATE = 5


class BundleTraining(TrainTask):
    """Run ``train.json`` in a folder of its own, and put the weights in service when the run is over.

    So a run that fails or is killed changes nothing, and what is served is never half trained. Each run is a new one:
    labels were added since the last, and its learning rates were for other lengths. Of the bundle's overrides it sets
    the data, the epochs, the folders, the device and what it starts from.

    Args:
        bundle: trained, and given the new weights.
        encoders: pre-trainings of the same modality, which may lend their encoder.
    """

    def __init__(self, bundle: LabelBundle, encoders: Sequence[LabelBundle] = ()) -> None:
        super().__init__(bundle.metadata["task"])
        self.bundle, self.encoders = bundle, encoders

    def info(self) -> dict[str, Any]:
        return super().info() | {"version": self.bundle.metadata["version"]}

    def config(self) -> dict[str, Any]:
        """What a client may set. ``pretrained``: start from the weights in service, if there are some."""
        epochs = self.bundle.merged("train")["epochs"]
        return {"device": device_list(), "pretrained": True, "max_epochs": epochs, "val_split": 0.2}

    def items(self, datastore: Datastore) -> Items:
        """The data list to train and validate on."""
        raise NotImplementedError

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, in this process.

        Raises:
            UserError: for nothing to train on, a run of this bundle that is still going on, or one without weights.
        """
        show_user_errors()
        settings = self.config() | request
        run = self.bundle.folder / "eval" / "label"
        run.parent.mkdir(exist_ok=True)
        try:
            with FileLock(run.with_suffix(".lock"), timeout=0):
                shutil.rmtree(run, ignore_errors=True)
                self.run(settings, self.items(datastore), run)
                self.deliver(run / "models")
        except Timeout as error:
            raise UserError(f"{self.bundle.name} is in training: wait for its end, or stop it") from error
        return {}

    def run(self, settings: Mapping[str, Any], items: Items, folder: Path) -> None:
        training, validation = split(items, settings["val_split"])
        print(f"{self.bundle.name}: {len(training)} images train, {len(validation)} validate")
        config = self.bundle.merged("train")
        data: dict[str, Any] = {"train#dataset#data": training, "validate#dataset#data": validation}
        if "data" in config["train"]:  # what else looks at the list, such as the frequency of labels
            data["train#data"] = training
        monai.bundle.run(
            run_id="run",
            meta_file=str(self.bundle.config_file("metadata")),
            config_file=[str(path) for path in self.bundle.files("train")],
            bundle_root=str(self.bundle.folder),
            ckpt_dir=str(folder / "models"),
            output_dir=str(folder),
            device=name_to_device(settings["device"]),
            val_interval=min(config["val_interval"], settings["max_epochs"]),
            warmup_epochs=min(config["warmup_epochs"], settings["max_epochs"] // 10),
            **{"train#trainer#max_epochs": settings["max_epochs"]},
            **data,
            **self.start(config, settings["pretrained"]),
            **self.others(config, validation),
        )

    def others(self, config: Mapping[str, Any], validation: Items) -> dict[str, Any]:
        """Overrides that one kind of training needs."""
        return {}

    def start(self, config: Mapping[str, Any], from_weights: bool) -> dict[str, Any]:
        """Overrides for what training starts from: the weights in service, or an encoder pre-trained here since then.

        Without weights in service, or if they are not wanted, any encoder will do; without one the network is fresh.
        """
        weights = self.bundle.weights if from_weights and self.bundle.weights.is_file() else None
        encoders = [bundle.encoder for bundle in self.encoders if bundle.encoder.is_file()]
        encoder = max(encoders, key=written, default=None)
        if encoder and (weights is None or (not sum_beside(encoder).is_file() and written(encoder) > written(weights))):
            print(f"{self.bundle.name} starts from the encoder {encoder}")
            return {"pretrained": str(encoder)}
        if weights is None:
            print(f"{self.bundle.name} starts from scratch")
            return {}
        print(f"{self.bundle.name} starts from its weights {weights}")
        loader = {"_target_": "monai_mae_ext.handlers.LoadWeights", "network": "@network_def", "path": str(weights)}
        return {"weights_in_service": loader, "initialize": [*config["initialize"], "$@weights_in_service(None)"]}

    def deliver(self, trained: Path) -> None:
        """Move what a run left to ``models``, the weights last; sums of published files that lay there go.

        What lay there before the server's first training is kept, as ``before_label_model.pt`` and so on: it may be the
        work of weeks.

        Raises:
            UserError: if validation never found weights worth keeping.
        """
        if not (trained / "model.pt").is_file():
            raise UserError(
                f"training of {self.bundle.name} gave no weights, for no validation had a score: label more"
            )
        self.bundle.weights.parent.mkdir(exist_ok=True)
        for path in sorted(trained.iterdir(), key=lambda path: path.name == "model.pt"):
            target = self.bundle.weights.with_name(path.name)
            before = target.with_name(f"before_label_{target.name}")
            if target.is_file() and not before.is_file():
                shutil.copyfile(target, before)
            os.replace(path, target)
            sum_beside(target).unlink(missing_ok=True)


class SegmentationTraining(BundleTraining):
    """Training on all images that have a final label."""

    def items(self, datastore: Datastore) -> Items:
        pairs = datastore.datalist()
        if not pairs:
            raise UserError(f"no image has a final label: save one before {self.bundle.name} is trained")
        return [self.bundle.item(pair["image"], label=pair["label"]) for pair in pairs]


class ClassificationTraining(BundleTraining):
    """Training on all films with a final label: a JSON file that lists the ``findings``, as inference gives it."""

    def items(self, datastore: Datastore) -> Items:
        pairs = datastore.datalist()
        if not pairs:
            raise UserError(f"no image has a final label: save one before {self.bundle.name} is trained")
        names = self.bundle.parser("train").get_parsed_content("label_names")
        return [
            self.bundle.item(pair["image"], label=read_findings(pair["label"], names), patient=Path(pair["image"]).stem)
            for pair in pairs
        ]

    def others(self, config: Mapping[str, Any], validation: Items) -> dict[str, Any]:
        """Too few films tell neither thresholds nor what is familiar: no calibration then."""
        only_train = {"run": ["$monai_mae_ext.bundle.start_bundle()", "$@train#trainer.run()"]}
        return {} if len(validation) >= FILMS_TO_CALIBRATE else only_train

    def deliver(self, trained: Path) -> None:
        """What was fitted to older weights goes, also where nothing new was fitted."""
        if (trained / "model.pt").is_file():
            for name in (CALIBRATION, FAMILIARITY):
                self.bundle.weights.with_name(name).unlink(missing_ok=True)
        super().deliver(trained)


class PretrainingTask(BundleTraining):
    """Self pre-training on all images, labelled or not. Its encoder is exported for trainings of the same modality."""

    def items(self, datastore: Datastore) -> Items:
        items = []
        for image in datastore.list_images():
            try:
                items.append(self.bundle.item(datastore.get_image_uri(image)))
            except UserError as error:
                logger.warning("%s is left out: %s", image, error)
        if not items:
            raise UserError(f"none of the studies is an image for {self.bundle.name}")
        return items

    def deliver(self, trained: Path) -> None:
        if (trained / "model.pt").is_file():
            export_encoder(trained, trained / self.bundle.encoder.name)
        super().deliver(trained)


def written(path: Path) -> int:
    """When a file was written, in nanoseconds."""
    return path.stat().st_mtime_ns
