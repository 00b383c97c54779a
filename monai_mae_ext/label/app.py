"""The app that a label server runs: which tasks there are. Bundles and overlays come from its configuration."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monailabel.interfaces.app
import requests
from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.random import Random
from monailabel.utils.async_tasks.utils import processes

from monai_mae_ext import __version__
from monai_mae_ext.label.batch import TolerantBatch
from monai_mae_ext.label.bundle import LabelBundle
from monai_mae_ext.label.datastore import StudiesFolder
from monai_mae_ext.label.dicom_conversion import answer_segmentations_ourselves
from monai_mae_ext.label.errors import is_user_error, one_line
from monai_mae_ext.label.infer import ClassificationInference, SegmentationInference
from monai_mae_ext.label.pacs import StudiesPacs
from monai_mae_ext.label.scoring import PredictiveEntropy, ReconstructionError, Scores
from monai_mae_ext.label.strategy import HighestScore
from monai_mae_ext.label.train import ClassificationTraining, PretrainingTask, SegmentationTraining

__all__ = ["BundleApp"]

logger = logging.getLogger(__name__)
INFERENCES = {"segmentation": SegmentationInference, "classification": ClassificationInference}
TRAININGS = {
    "segmentation": SegmentationTraining,
    "classification": ClassificationTraining,
    "pretraining": PretrainingTask,
}
SCORINGS = {"pretraining": ReconstructionError, "segmentation": PredictiveEntropy}


class BundleApp(MONAILabelApp):
    """Inference, training, scores and strategies of this project's bundles; nothing is fetched from anywhere.

    Args:
        app_dir: working folder.
        studies: folder of images, or address of a DICOMweb server.
        conf: ``bundles``, folders, and ``overlays``, names, both as JSON lists.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        overlays = json.loads(conf.get("overlays", "[]"))
        self.bundles = [LabelBundle(Path(folder), overlays) for folder in json.loads(conf["bundles"])]
        self.scored = {f"{one.name}_{SCORINGS[one.kind].key}": one for one in self.bundles if one.kind in SCORINGS}
        super().__init__(
            app_dir,
            studies,
            conf,
            name="MAE self pre-training",
            description="Segment and classify with networks that were pre-trained on your own images",
            version=__version__,
        )

    def init_datastore(self) -> Datastore:
        if self.studies.startswith(("http://", "https://")):
            answer_segmentations_ourselves()
            monailabel.interfaces.app.DICOMWebDatastore = StudiesPacs
            StudiesPacs.names = self.label_numbers()
            return super().init_datastore()
        return StudiesFolder(
            self.studies,
            extensions=settings.MONAI_LABEL_DATASTORE_FILE_EXT,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def label_numbers(self) -> dict[str, int]:
        """Number of each label of the segmentation bundles, by its name in lower case."""
        tasks = [SegmentationInference(bundle) for bundle in self.bundles if bundle.kind == "segmentation"]
        return {name.lower(): number for task in tasks for name, number in task.label_values().items()}

    def init_infers(self) -> dict[str, InferTask]:
        return {bundle.name: INFERENCES[bundle.kind](bundle) for bundle in self.bundles if bundle.kind in INFERENCES}

    def init_trainers(self) -> dict[str, TrainTask]:
        return {bundle.name: TRAININGS[bundle.kind](bundle, self.encoders_for(bundle)) for bundle in self.bundles}

    def encoders_for(self, bundle: LabelBundle) -> list[LabelBundle]:
        """The pre-trainings whose encoder another bundle starts from."""
        if bundle.kind == "pretraining":
            return []
        return [one for one in self.bundles if one.kind == "pretraining" and one.modality == bundle.modality]

    def init_strategies(self) -> dict[str, Strategy]:
        ranked = {name: HighestScore(name, self.scores(name)) for name in self.scored}
        return {"random": Random(), **ranked}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        return {name: SCORINGS[bundle.kind](bundle, self.scores(name)) for name, bundle in self.scored.items()}

    def scores(self, method: str) -> Scores:
        return Scores(Path(self.app_dir) / "scores", method, self.studies)

    def init_batch_infer(self) -> Callable:
        return TolerantBatch()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """As MONAI Label's, but what fails is told to the client in one line.

        Raises:
            HTTPException: 404 for no such model or image, 422 for what the user can mend, else 500.
        """
        model, image = request.get("model"), request.get("image")
        if model not in self._infers:
            raise HTTPException(404, f"no model {model}: there are {', '.join(self._infers)}")
        try:
            if isinstance(image, str) and not os.path.exists(image):
                if not (datastore or self.datastore()).get_image_uri(image):
                    raise HTTPException(404, f"no image {image} in the studies")
            return super().infer(request, datastore)
        except HTTPException:
            raise
        except Exception as error:
            logger.exception("inference of %s on %s failed", model, image)
            raise HTTPException(422 if is_user_error(error) else 500, f"{image}: {one_line(error)}") from error

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """As MONAI Label's; of an image that cannot be read the client is told in one line, with 422."""
        try:
            return super().next_sample(request)
        except Exception as error:
            if not is_user_error(error):
                raise
            raise HTTPException(422, one_line(error)) from error

    def async_scoring(self, method: str | None, params: Any = None) -> dict[str, Any]:
        """MONAI Label asks for all scores again behind every training and every image that it serves, each in a process
        that takes seconds to start: only methods that have something to score are run, one request at a time."""
        if method is not None:
            return super().async_scoring(method, params)
        if self._server_mode and processes("scoring"):
            return {}
        stale = [name for name, one in self._scoring_methods.items() if one.stale(self.datastore())]
        return {name: super(BundleApp, self).async_scoring(name, params) for name in stale}

    def _local_request(self, url: str, params: Any, action: str) -> Any:
        """A training tells the server that there is something to score; where it cannot, the next request does."""
        try:
            return super()._local_request(url, params, action)
        except requests.ConnectionError:
            logger.warning("%s was not started: the server does not answer on this machine's loopback", action)

    def _download_dcmqi_tools(self) -> None:
        """Nothing is downloaded: DICOM SEG is written without them."""
