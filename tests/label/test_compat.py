"""Each cure helps where it is needed and does nothing elsewhere."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from monai_mae_ext.label.compat import cure_monai_label


def test_an_empty_module_stands_in_for_a_pydicom_seg_that_cannot_be_imported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pydicom_seg", None)
    monkeypatch.delitem(sys.modules, "pydicom_seg")
    (tmp_path / "pydicom_seg.py").write_text("import pydicom._storage_sopclass_uids_of_old")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError):
        importlib.import_module("pydicom_seg")
    cure_monai_label()
    assert vars(importlib.import_module("pydicom_seg")).get("MultiClassReader") is None


def test_a_pydicom_seg_that_works_stays(monkeypatch):
    works = ModuleType("pydicom_seg")
    monkeypatch.setitem(sys.modules, "pydicom_seg", works)
    cure_monai_label()
    assert sys.modules["pydicom_seg"] is works
