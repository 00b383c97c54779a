from __future__ import annotations

import numpy as np
from monai.transforms import Compose, CopyItemsd, LoadImaged
from PIL import Image

from monai_mae_ext.data import RadiographReader, TolerantCacheDataset
from monai_mae_ext.reports import ReportTokenizer
from monai_mae_ext.transforms import TokenizeReportd


def test_another_tokenizer_needs_no_film_decoded_again(tmp_path):
    report = "the heart is large ."
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "film.png")
    item = {"image": str(tmp_path / "film.png"), "report": report}
    for words in ([report], [report, "a mass ."]):
        tokenizer = ReportTokenizer.fit(words * 3, 100)
        transform = Compose([
            LoadImaged("image", RadiographReader, ensure_channel_first=True),
            CopyItemsd("report", names="tokens"),
            TokenizeReportd("tokens", tokenizer, 12),
        ])  # fmt: skip
        for data in ({"cache_dir": tmp_path / "cache"}, {"cache_rate": 1.0}):
            (found,) = TolerantCacheDataset([item], transform, progress=False, **data)
            assert found["tokens"].tolist() == tokenizer.encode(report, 12).tolist() and found["report"] == report
    assert len([*(tmp_path / "cache").rglob("*.safetensors")]) == 1
