"""Where the picture of a film goes."""

from __future__ import annotations

import os
from pathlib import Path

from monai_mae_ext.data.radiograph import RADIOGRAPH_SUFFIXES
from monai_mae_ext.data.radiograph_datalist import has_radiograph_ending
from monai_mae_ext.files import name_inside

__all__ = ["picture_path"]


def picture_path(output_dir: Path, source: str, dataset_dir: str | os.PathLike, kind: str) -> Path:
    """``a/film_KIND.png`` in ``output_dir`` for ``a/film.dcm`` in ``dataset_dir``.

    Where another film differs in its ending alone, the ending stays: ``a/film.dcm_KIND.png``. The last part of a name
    such as 1.2.840.17 is no ending: it is all that tells two films of a study apart.
    """
    name = name_inside(source, dataset_dir)
    stem = name.stem if has_radiograph_ending(name.name) and not has_twin(Path(source)) else name.name
    return output_dir / name.with_name(f"{stem}_{kind}.png")


def has_twin(film: Path) -> bool:
    """Whether there is a film of the same name with another ending."""
    endings = {f".{ending}" for ending in RADIOGRAPH_SUFFIXES} - {film.suffix.lower()}
    return any(film.with_suffix(ending).exists() for ending in endings)
