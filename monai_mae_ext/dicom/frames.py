"""The images of a series, one by one: classic files hold one each, enhanced and converted ones many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset

from monai_mae_ext.dicom.elements import integer, numbers, text
from monai_mae_ext.dicom.series import UID_END, Series
from monai_mae_ext.errors import UserError

__all__ = ["Frame", "read_frames"]

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


@dataclass(frozen=True, eq=False)
class Frame:
    """One image: the file, its place in it counted from 0, and what the file says of it.

    The header of a frame of an enhanced file is the file's, and over it the elements of the frame's functional groups,
    with its number, counted from 1, as ReferencedFrameNumber: so it reads as that of a classic file.
    """

    path: Path
    index: int
    header: Dataset

    def __str__(self) -> str:
        """Name it for messages; not by its file, whose name may be a patient's."""
        number = integer(self.header, "InstanceNumber")
        frame = f"frame {self.index + 1} of " if "ReferencedFrameNumber" in self.header else ""
        uid = text(self.header, "SOPInstanceUID")[-UID_END:]
        return f"{frame}image {'without number' if number is None else number} (UID ending {uid})"

    def numbers(self, keyword: str, count: int) -> np.ndarray:
        """Return the numbers of an element that a volume cannot do without, float64 (count,).

        Raises:
            UserError: where it is missing or malformed.
        """
        values = numbers(self.header, keyword, count)
        if values is None:
            state = "a malformed" if text(self.header, keyword) else "no"
            raise UserError(f"has {state} {keyword} in {self}: export the scanner's own images, not derived ones")
        return values


def read_frames(series: Series) -> list[Frame]:
    """Return all images of a series, by path and frame, with headers but without pixels.

    Raises:
        UserError: for a file that is gone or damaged by now, and for several frames without functional groups.
    """
    return [frame for path in series.files for frame in frames_of(path)]


def frames_of(path: Path) -> list[Frame]:
    """Return the images of one file."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        count, groups = integer(header, "NumberOfFrames") or 1, header.get(PER_FRAME)
    except OSError as error:
        raise UserError(f"has a file that cannot be opened any more ({error.strerror}): copy it again") from error
    except Exception as error:  # pydicom raises what it comes across first
        raise UserError(f"has a damaged file ({type(error).__name__}): copy or export it again") from error
    if groups is None and count == 1:
        return [Frame(path, 0, header)]
    if groups is None or len(groups) != count:
        raise UserError(
            f"has {count} frames in {Frame(path, 0, header)}, but {len(groups or ())} frames are described: "
            "export it as one image a file, or as an enhanced object"
        )
    shared = (header.get(SHARED) or [Dataset()])[0]
    return [Frame(path, k, flat_header(header, (shared, group), k + 1)) for k, group in enumerate(groups)]


def flat_header(header: Dataset, groups: Iterable[Dataset], number: int) -> Dataset:
    """Return ``header`` with the macros of a frame's functional groups laid over it.

    The functional groups stay in it, shared by all frames, for those who refer to the file as a whole.
    """
    flat = Dataset(dict(header.items()))
    flat.file_meta = header.file_meta
    for macro in (element for group in groups for element in group):
        if macro.VR == "SQ" and len(macro.value) == 1:
            flat.update(macro.value[0])
    flat.ReferencedFrameNumber = number
    return flat
