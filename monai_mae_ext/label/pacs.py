"""The studies of a DICOMweb server: images come checked, labels are DICOM SEG with names and codes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nibabel as nib
from monailabel.datastore.dicom import DICOMWebDatastore
from monailabel.datastore.local import LocalDatastore
from monailabel.datastore.utils.convert import binary_to_image
from monailabel.datastore.utils.dicom import dicom_web_download_series
from monailabel.interfaces.datastore import DefaultLabelTag
from pydicom import Dataset, dcmread

from monai_mae_ext.dicom import save_nifti
from monai_mae_ext.dicom.read_segmentation import is_automatic, read_segmentation
from monai_mae_ext.errors import UserError
from monai_mae_ext.label.datastore import StudiesFolder
from monai_mae_ext.label.dicom_conversion import labels_to_segmentation, read_only_series

__all__ = ["StudiesPacs"]

logger = logging.getLogger(__name__)
FINAL = DefaultLabelTag.FINAL
FACTS = ("SeriesInstanceUID", "StudyInstanceUID", "Modality")


class StudiesPacs(StudiesFolder, DICOMWebDatastore):  # type: ignore[misc]
    """MONAI Label's datastore on DICOMweb, with a cache in which nothing is half there.

    A label is final if a person had a hand in it: segmentations whose segments are all AUTOMATIC, such as results that
    were sent to the archive, are not. Of several the newest counts. Nothing that is noted or logged tells the patient.

    Attributes:
        names: number of each label that some model here knows, by its name in lower case.
    """

    names: Mapping[str, int] = {}

    def get_image_uri(self, image_id: str) -> str:
        target = os.path.realpath(os.path.join(self._datastore.image_path(), f"{image_id}.nii.gz"))
        if not os.path.exists(target):
            volume = read_only_series(self.folder_of(image_id))
            with TemporaryDirectory() as room:
                path = os.path.join(room, f"{image_id}.nii.gz")
                save_nifti(volume, path)
                self.add_image(image_id, path, self._dicom_info(image_id))
        return target

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:
        return LocalDatastore.get_label_uri(self, label_id, label_tag)

    def save_label(
        self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any], label_id: str = ""
    ) -> str:
        """Keep a label; a final one also in the study, as DICOM SEG that a person had a hand in."""
        image = self.get_image_uri(image_id)
        with TemporaryDirectory() as room:
            if label_filename.endswith(".bin"):
                label_filename = shutil.move(binary_to_image(image, label_filename), room)
            info = dict(label_info)
            if label_tag == FINAL:
                target = os.path.join(room, "label.dcm")
                named = label_info.get("label_info") or [
                    {"idx": number, "name": name} for name, number in self.names.items()
                ]
                labels_to_segmentation(self.folder_of(image_id), label_filename, named, target, "SEMIAUTOMATIC")
                segmentation = dcmread(target)
                self._client.store_instances([segmentation])
                info["SeriesInstanceUID"] = str(segmentation.SeriesInstanceUID)
            with self.alone():
                return LocalDatastore.save_label(self, image_id, label_filename, label_tag, info)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return list(self.final_labels())

    def final_labels(self) -> dict[str, str]:
        """The newest final segmentation of each image: UIDs of their series."""
        images = set(self.list_images())
        newest: dict[str, tuple[str, str]] = {}
        for found in self._client.search_for_series(search_filters={"Modality": "SEG"}):
            header = Dataset.from_json(found)
            facts = self.segmentation_facts(str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
            if facts and facts[0] in images:
                image, when = facts
                newest[image] = max(newest.get(image, ("", "")), (when, str(header.SeriesInstanceUID)))
        return {image: series for image, (_, series) in newest.items()}

    @cached_property
    def known_segmentations(self) -> dict[str, tuple[str, str] | None]:
        """What was asked of segmentations, by their series."""
        return {}

    def segmentation_facts(self, study: str, series: str) -> tuple[str, str] | None:
        """Which image a segmentation marks, and when it was made; None if it is no final label. Asked for once."""
        known = self.known_segmentations
        if series not in known:
            (first, *_) = self._client.retrieve_series_metadata(study, series)
            header = Dataset.from_json(first)
            referenced = header.get("ReferencedSeriesSequence")
            made = f"{header.get('ContentDate', '')}{header.get('ContentTime', '')}"
            automatic = "SegmentSequence" not in header or is_automatic(header)
            known[series] = None if automatic or not referenced else (str(referenced[0].SeriesInstanceUID), made)
        return known[series]

    def _download_labeled_data(self) -> None:
        """Bring final labels here; one that cannot be used is told, and the others go on."""
        final = self.final_labels()
        for image, series in final.items():
            try:
                self.fetch_label(image, series)
            except UserError as error:
                logger.error("label %s of %s is left out: %s", series, image, error)
        for image in set(LocalDatastore.get_labeled_images(self)) - set(final):
            logger.info("label of %s is not in the PACS any more", image)
            self.remove_label(image, FINAL)

    def fetch_label(self, image_id: str, series: str) -> None:
        """Convert a segmentation to labels on the image's grid, unless these are here."""
        known = self.get_label_info(image_id, FINAL)
        if known.get("SeriesInstanceUID") == series and os.path.exists(self.get_label_uri(image_id, FINAL)):
            return
        image = nib.nifti1.load(self.get_image_uri(image_id))
        with TemporaryDirectory() as room:
            dicom_web_download_series(None, series, room, self._client, self._fetch_by_frame)
            newest = max(Path(room).iterdir(), key=lambda path: int(dcmread(path).get("InstanceNumber") or 0))
            labels = read_segmentation(newest, image.affine, image.shape, self.names)
            path = os.path.join(room, f"{image_id}.nii.gz")
            nib.save(nib.nifti1.Nifti1Image(labels, image.affine), path)
            with self.alone():
                LocalDatastore.save_label(self, image_id, path, FINAL, {"SeriesInstanceUID": series})

    def folder_of(self, image_id: str) -> str:
        """Where the files of a series are; they are downloaded once, and never seen half."""
        folder = os.path.realpath(os.path.join(self._datastore.image_path(), image_id))
        if not os.path.isdir(folder):
            part = f"{folder}.part"
            shutil.rmtree(part, ignore_errors=True)
            dicom_web_download_series(None, image_id, part, self._client, self._fetch_by_frame)
            os.replace(part, folder)
        return folder

    def _dicom_info(self, series_id: str) -> dict[str, str]:
        found = self._client.search_for_series(search_filters={"SeriesInstanceUID": series_id})
        header = Dataset.from_json(found[0])
        return {keyword: str(header.get(keyword, "")) for keyword in FACTS}
