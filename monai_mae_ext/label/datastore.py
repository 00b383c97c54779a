"""The studies' folder, in which nothing is lost when several processes write, or one is killed while it does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import LocalDatastore

from monai_mae_ext.files import atomic_write

__all__ = ["StudiesFolder"]


class StudiesFolder(LocalDatastore):
    """MONAI Label's datastore of files, whose list is written atomically and read anew before it is changed.

    MONAI Label writes its list in place, so that a kill leaves half of it and the next start fails, and each process
    (server, training, batch inference) writes the list as it was when it was read, whatever others have added since.
    """

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process changes the list meanwhile, and it is as they left it."""
        with FileLock(os.path.join(self._datastore_path, ".changing.lock")):
            self._init_from_datastore_file()
            yield

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        with self.alone():
            return super().add_image(image_id, image_filename, image_info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        with self.alone():
            return super().save_label(image_id, label_filename, label_tag, label_info)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        with self.alone():
            super().update_image_info(image_id, info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        with self.alone():
            super().update_label_info(label_id, label_tag, info)

    def _reconcile_datastore(self) -> None:
        with self.alone():
            super()._reconcile_datastore()

    def _update_datastore_file(self, lock: bool = True) -> None:
        if lock:
            with FileLock(self._lock_file):
                self._update_datastore_file(lock=False)
            return
        content = self._datastore.model_dump(exclude={"base_path"})
        with atomic_write(self._datastore_config_path) as path:
            path.write_text(json.dumps(content, indent=2, default=str))
        self._config_ts = Path(self._datastore_config_path).stat().st_mtime
