from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from monai_mae_ext.errors import UserError
from monai_mae_ext.familiarity import Familiarity, require_films


def cluster(n: int, seed: int, axis: int = 0) -> torch.Tensor:
    features = 0.1 * torch.randn(n, 16, generator=torch.Generator().manual_seed(seed))
    features[:, axis] += 1
    return features


def test_films_of_the_same_kind_are_familiar_and_others_are_not() -> None:
    familiarity = Familiarity.fit(cluster(100, 0))
    assert (familiarity.distance(cluster(500, 1)) <= familiarity.threshold).float().mean() > 0.99
    assert (familiarity.distance(cluster(500, 2, axis=1)) > familiarity.threshold).all()


def test_the_distance_is_that_to_the_third_nearest_direction() -> None:
    reference, wanted = cluster(20, 0), cluster(4, 1)
    familiarity = Familiarity.fit(reference)
    expected = (F.normalize(wanted)[:, None] - F.normalize(reference)).norm(dim=2).sort(dim=1).values[:, 2]
    assert torch.allclose(familiarity.distance(7 * wanted), expected, atol=1e-5)


def test_a_film_is_not_its_own_neighbour() -> None:
    features = torch.eye(8)
    assert Familiarity.fit(features).threshold == pytest.approx(1.5 * 2**0.5)


def test_saved_and_loaded(tmp_path) -> None:
    familiarity = Familiarity.fit(cluster(20, 0))
    familiarity.save(tmp_path / "familiarity.safetensors")
    loaded = Familiarity.load(tmp_path / "familiarity.safetensors")
    assert loaded.threshold == familiarity.threshold and torch.equal(loaded.features, familiarity.features)


def test_errors_name_the_file_and_the_cure(tmp_path) -> None:
    with pytest.raises(UserError, match="none.safetensors: train with this bundle first"):
        Familiarity.load(tmp_path / "none.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="junk.safetensors holds no reference features"):
        Familiarity.load(tmp_path / "junk.safetensors")
    for refuse in (lambda: Familiarity.fit(cluster(4, 0)), lambda: require_films(4)):
        with pytest.raises(UserError, match="4 validation films .* 5 are needed"):
            refuse()
    require_films(5)
