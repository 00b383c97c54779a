"""A served zoo: checked downloads, upgrades, and what must not be unpacked."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from monai.bundle import scripts

from monai_mae_ext.checksums import sha256_of
from monai_mae_ext.delivery import download
from monai_mae_ext.errors import UserError
from tests.delivery.conftest import copy_of, pack_tiny, set_version, write_weights

NAME = "mri_tumor_segmentation"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("packed")
    bundle = copy_of(NAME, room / "source")
    weights = write_weights(bundle, room / "weights")
    for version in ("0.1.0", "0.2.0"):
        set_version(bundle, version)
        pack_tiny(bundle, room / "dist", weights)
    return room


@pytest.fixture
def two_versions(packed: Path, tmp_path: Path) -> Path:
    """A zoo with versions 0.1.0 and 0.2.0 of one bundle, and what it was packed from beside it."""
    shutil.copytree(packed, tmp_path, dirs_exist_ok=True)
    return tmp_path / "dist"


def version_in(folder: Path) -> str:
    return json.loads((folder / "configs" / "metadata.json").read_text())["version"]


def test_the_newest_version_comes_and_an_older_one_is_kept(two_versions, serve, tmp_path, capsys):
    url, home = serve(two_versions), tmp_path / "home"
    download(NAME, url, str(home), version="0.1.0")
    assert version_in(home / NAME) == "0.1.0"
    (home / NAME / "models" / "mine.pt").write_bytes(b"my own training")
    download(NAME, url, str(home))
    assert version_in(home / NAME) == "0.2.0"
    assert (home / f"{NAME}_v0.1.0" / "models" / "mine.pt").read_bytes() == b"my own training"
    assert "was version 0.1.0: kept as" in capsys.readouterr().out
    download(NAME, url, str(home))
    assert "is mri_tumor_segmentation_v0.2.0 already" in capsys.readouterr().out
    assert sorted(path.name for path in home.iterdir()) == [NAME, f"{NAME}_v0.1.0"]


def test_a_zip_that_was_changed_is_refused(two_versions, serve, tmp_path):
    path = two_versions / f"{NAME}_v0.2.0.zip"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{NAME}/extra.py", "print('not ours')")
    with pytest.raises(UserError, match="is not the file that .* lists, its sha256 differs"):
        download(NAME, serve(two_versions), str(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("entry", ["../outside.txt", f"{NAME}/../../outside.txt", "/outside.txt", f"other/{NAME}.txt"])
def test_a_name_that_leads_outside_writes_nothing(entry, serve, tmp_path):
    zoo = tmp_path / "dist"
    zoo.mkdir()
    path = zoo / f"{NAME}_v0.1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{NAME}/configs/metadata.json", "{}")
        archive.writestr(entry, "x")
    checksum = sha256_of(path)
    (zoo / "model_info.json").write_text(json.dumps({path.stem: {"checksum": checksum, "source": path.name}}))
    with pytest.raises(UserError, match="which is no file inside"):
        download(NAME, serve(zoo), str(tmp_path / "home"))
    assert not list(tmp_path.rglob("*outside*")) and list((tmp_path / "home").iterdir()) == []


def test_a_link_in_a_zip_is_refused(serve, tmp_path):
    zoo = tmp_path / "dist"
    zoo.mkdir()
    path = zoo / f"{NAME}_v0.1.0.zip"
    link = zipfile.ZipInfo(f"{NAME}/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc")
    checksum = sha256_of(path)
    (zoo / "model_info.json").write_text(json.dumps({path.stem: {"checksum": checksum, "source": path.name}}))
    with pytest.raises(UserError, match="which is no file inside"):
        download(NAME, serve(zoo), str(tmp_path / "home"))


def test_what_is_wrong_is_said(two_versions, serve, tmp_path):
    url = serve(two_versions)
    with pytest.raises(UserError, match="has no liver; it has mri_tumor_segmentation_v0.1.0, mri"):
        download("liver", url, str(tmp_path / "home"))
    with pytest.raises(UserError, match="has no mri_tumor_segmentation 3.0.0"):
        download(NAME, url, str(tmp_path / "home"), version="3.0.0")
    with pytest.raises(UserError, match="cannot be fetched"):
        download(NAME, url + "/nowhere", str(tmp_path / "home"))
    with pytest.raises(UserError, match="is no address"):
        download(NAME, str(two_versions), str(tmp_path / "home"))
    (tmp_path / "home" / NAME).mkdir(parents=True)
    with pytest.raises(UserError, match="is no bundle: move it away"):
        download(NAME, url, str(tmp_path / "home"))


def test_monai_downloads_from_a_github_release(two_versions, serve, tmp_path, monkeypatch):
    """The release holds the zips, the tag ``models/model_info.json``; GitHub's addresses lead to this machine."""
    site = tmp_path / "site"
    shutil.copytree(two_versions, site / "releases")
    (site / "tag" / "models").mkdir(parents=True)
    shutil.copy(two_versions / "model_info.json", site / "tag" / "models")
    url = serve(site)
    asked = []

    def get(address: str, **options: object) -> SimpleNamespace:
        asked.append(address)
        inside = address.removeprefix("https://raw.githubusercontent.com/owner/zoo/v1/")
        return SimpleNamespace(text=(site / "tag" / inside).read_text(), raise_for_status=lambda: None)

    monkeypatch.setattr(scripts, "requests", SimpleNamespace(get=get))
    monkeypatch.setattr(scripts, "has_requests", True)
    monkeypatch.setattr(
        scripts, "_get_git_release_url", lambda owner, repo, tag_name, filename: f"{url}/releases/{filename}"
    )
    scripts.download(name=NAME, source="github", repo="owner/zoo/v1", bundle_dir=str(tmp_path / "home"))
    assert version_in(tmp_path / "home" / NAME) == "0.2.0"
    assert asked == ["https://raw.githubusercontent.com/owner/zoo/v1/models/model_info.json"]


def test_a_published_version_never_changes(two_versions, tmp_path):
    source = tmp_path / "source" / NAME
    (source / "docs" / "README.md").write_text((source / "docs" / "README.md").read_text() + "\nMore.\n")
    before = (two_versions / f"{NAME}_v0.2.0.zip").read_bytes()
    with pytest.raises(UserError, match="was published with other bytes: raise the version"):
        pack_tiny(source, two_versions, tmp_path / "weights")
    assert (two_versions / f"{NAME}_v0.2.0.zip").read_bytes() == before
    assert not list(two_versions.glob(".*"))
