"""Who made a DICOM object: the bundle, its version and this software."""

from __future__ import annotations

from typing import Any, NamedTuple

from highdicom import AlgorithmIdentificationSequence
from pydicom.sr.codedict import codes

from monai_mae_ext import __version__

__all__ = ["Algorithm"]


class Algorithm(NamedTuple):
    """A bundle: its ``name`` and ``version``; ``kind`` is SEMIAUTOMATIC where a person had a hand in the result."""

    name: str
    version: str
    kind: str = "AUTOMATIC"

    @property
    def equipment(self) -> dict[str, Any]:
        """The attributes of the equipment module, as highdicom's constructors take them."""
        return {
            "manufacturer": "monai-mae-ext",
            "manufacturer_model_name": self.name,
            "software_versions": f"monai-mae-ext {__version__}, {self.name} {self.version}"[:64],
            "device_serial_number": self.version,
        }

    def identification(self) -> AlgorithmIdentificationSequence:
        """The algorithm identification sequence of a segment."""
        return AlgorithmIdentificationSequence(self.name, codes.DCM.ArtificialIntelligence, self.version)
