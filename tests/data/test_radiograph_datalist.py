from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monai_mae_ext.data import CHESTXRAY14_LABELS, radiograph_datalist
from monai_mae_ext.errors import UserError

SPLITS = ("training", "validation", "test")
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age\n"


def make_folder(root: Path, names) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def make_chestxray14(root: Path, patients: dict[int, int], folder: str = "images", findings="No Finding") -> Path:
    """``patients`` gives each patient's number of films."""
    names = [(f"{patient:08d}_{film:03d}.png", patient) for patient, films in patients.items() for film in range(films)]
    make_folder(root, [f"{folder}/{name}" for name, _ in names])
    rows = [f"{name},{findings},0,{patient},50\n" for name, patient in names]
    (root / "Data_Entry_2017.csv").write_text(HEADER + "".join(rows))
    return root


def names_of(items: list[dict]) -> list[str]:
    return [Path(item["image"]).name for item in items]


def sections(root: Path, **options) -> dict[str, set[str]]:
    """Return the file names of each section; an empty one is an empty set."""
    found = {}
    for section in SPLITS:
        try:
            found[section] = {item["image"] for item in radiograph_datalist(root, section, **options)}
        except UserError as error:
            assert "is empty" in str(error)
            found[section] = set()
    return found


# Plain folders


def test_finds_every_format_and_passes_over_the_rest(tmp_path):
    films = ["a.png", "b.JPG", "c/d.jpeg", "c/e/f.tif", "g.tiff", "h.dcm"]
    make_folder(tmp_path, [*films, "notes.txt", ".hidden.png", "._a.png", ".ipynb_checkpoints/a.png"])
    for name in ("1.2.840.17", "c/IM0001", "DICOMDIR"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    items = radiograph_datalist(tmp_path, "all")
    expected = sorted(str(tmp_path / name) for name in [*films, "1.2.840.17", "c/IM0001"])
    assert items == [{"image": path} for path in expected]


def test_a_sub_folder_is_a_patient_and_so_is_a_file_beside_it(tmp_path):
    make_folder(tmp_path, [f"patient{i}/study{j}/{k}.png" for i in range(40) for j in range(2) for k in range(2)])
    for paths in sections(tmp_path).values():
        by_patient = [Path(path).relative_to(tmp_path).parts[0] for path in paths]
        assert paths and all(by_patient.count(patient) == 4 for patient in by_patient)


def test_dicom_files_named_by_uid_are_patients_of_their_own(tmp_path):
    for i in range(60):
        (tmp_path / f"1.2.840.{i}").write_bytes(bytes(128) + b"DICM")
    assert all(sections(tmp_path).values())


patients = st.dictionaries(st.integers(0, 99), st.integers(1, 3), min_size=1, max_size=25)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patients=patients, added=patients, fraction=st.floats(0, 0.79), seed=st.integers(0, 5), layout=st.booleans())
def test_sections_are_disjoint_by_patient_and_stay_when_films_are_added(
    tmp_path_factory, patients, added, fraction, seed, layout
):
    root = tmp_path_factory.mktemp("data")
    options = {"validation_fraction": fraction, "seed": seed}

    def fill(films: dict[int, int]) -> dict[str, set[str]]:
        if layout:
            make_chestxray14(root, films)
        else:
            make_folder(root, [f"{patient}/{film}.png" for patient, count in films.items() for film in range(count)])
        return sections(root, **options)

    before = fill(patients)
    after = fill({patient: patients.get(patient, 0) + added.get(patient, 0) for patient in {*patients, *added}})
    for split in (before, after):
        of_patient = [{Path(path).relative_to(root).as_posix()[:-5] for path in split[section]} for section in SPLITS]
        assert sum(map(len, of_patient)) == len(set.union(*of_patient))
    assert set.union(*after.values()) == {item["image"] for item in radiograph_datalist(root, "all")}
    assert all(before[section] <= after[section] for section in SPLITS)


def test_shares_and_seed(tmp_path):
    make_folder(tmp_path, [f"{i}.png" for i in range(1000)])
    counts = [len(paths) for paths in sections(tmp_path).values()]
    assert counts == pytest.approx([700, 100, 200], abs=45)
    assert sections(tmp_path, seed=1) != sections(tmp_path) == sections(tmp_path)
    assert not sections(tmp_path, validation_fraction=0)["validation"]


def test_the_split_of_version_0_1_stays(tmp_path):
    make_folder(tmp_path, [f"{i}.png" for i in range(12)])
    assert names_of(radiograph_datalist(tmp_path, "validation")) == ["10.png"]
    assert names_of(radiograph_datalist(tmp_path, "test")) == ["3.png"]


# ChestX-ray14


@pytest.mark.parametrize("folder", ["images", "images_001/images", "images-small"])
def test_chestxray14_layouts(tmp_path, folder):
    make_chestxray14(tmp_path, {1: 2}, folder, findings="Hernia|Atelectasis")
    items = radiograph_datalist(tmp_path, "all")
    assert [item["image"] for item in items] == [str(tmp_path / folder / f"00000001_00{i}.png") for i in range(2)]
    assert items[0]["label"] == (1,) + (0,) * 12 + (1,)
    assert (CHESTXRAY14_LABELS[0], CHESTXRAY14_LABELS[13]) == ("Atelectasis", "Hernia")


def test_no_finding_is_all_zero(tmp_path):
    assert radiograph_datalist(make_chestxray14(tmp_path, {1: 1}), "all")[0]["label"] == (0,) * 14


def test_official_lists_decide_and_validation_is_a_share_of_the_train_val_patients(tmp_path):
    make_chestxray14(tmp_path, {patient: 2 for patient in range(100)})
    name = "{:08d}_{:03d}.png\n"
    (tmp_path / "train_val_list.txt").write_text("".join(name.format(p, f) for p in range(90) for f in (0, 1)))
    (tmp_path / "test_list.txt").write_text("".join(name.format(p, f) for p in range(90, 100) for f in (0, 1)))
    found = sections(tmp_path)
    assert {Path(path).name[:8] for path in found["test"]} == {f"{patient:08d}" for patient in range(90, 100)}
    training, validation = ({Path(path).name[:8] for path in found[section]} for section in SPLITS[:2])
    assert validation and not training & validation and len(training | validation) == 90


def test_films_not_on_disk_or_in_no_list_are_told_once(tmp_path, caplog):
    make_chestxray14(tmp_path, {1: 3, 2: 2})
    (tmp_path / "images" / "00000001_001.png").unlink()
    (tmp_path / "images" / "00000001_002.png").unlink()
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n")
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    assert names_of(radiograph_datalist(tmp_path, "all")) == ["00000001_000.png", "00000002_000.png"]
    assert len(caplog.messages) == 2
    assert "2 films" in caplog.messages[0] and "00000001_001.png" in caplog.messages[0]
    assert "1 films" in caplog.messages[1] and "00000002_001.png" in caplog.messages[1]


# Errors


def test_errors_say_how_to_mend(tmp_path):
    make_folder(tmp_path, ["films/only.png", "empty/notes.txt"])
    for folder, section, options, said in [
        ("absent", "all", {}, "no such folder: .*absent: pass --dataset_dir FOLDER"),
        ("empty", "all", {}, "no radiographs in .*empty, looked for png.*--dataset_dir FOLDER"),
        ("films", "train", {}, "section is one of training, validation, test, all, got 'train'"),
        ("films", "all", {"validation_fraction": 0.8}, "below 0.8, got 0.8"),
        ("films", "validation", {"validation_fraction": 0.0}, "validation section .* 1 films of 1 patients"),
    ]:
        with pytest.raises(UserError, match=said):
            radiograph_datalist(tmp_path / folder, section, **options)


def test_errors_of_chestxray14(tmp_path):
    make_chestxray14(tmp_path / "typo", {7: 1}, findings="Edema|Pneumonja")
    with pytest.raises(UserError, match=r"row 2 \(00000007_000.png\) has the unknown finding 'Pneumonja'"):
        radiograph_datalist(tmp_path / "typo", "all")
    make_chestxray14(tmp_path / "half", {7: 1})
    (tmp_path / "half" / "test_list.txt").touch()
    with pytest.raises(UserError, match="train_val_list.txt is missing beside test_list.txt"):
        radiograph_datalist(tmp_path / "half", "all")
    make_folder(tmp_path / "columns", ["images/a.png"])
    (tmp_path / "columns" / "Data_Entry_2017.csv").write_text("Image Index,Finding Labels\n")
    with pytest.raises(UserError, match="no column Patient ID"):
        radiograph_datalist(tmp_path / "columns", "all")
    make_chestxray14(tmp_path / "bare", {7: 1}, folder="films")
    with pytest.raises(UserError, match="the films of Data_Entry_2017.csv in images"):
        radiograph_datalist(tmp_path / "bare", "all")


@pytest.mark.real_data
def test_chestxray14_sample(real_data):
    root = real_data / "chestxray14"
    found = sections(root)
    patients = [{Path(path).name[:8] for path in found[section]} for section in SPLITS]
    films = radiograph_datalist(root, "all")
    assert len(films) == 500
    assert [len(found[section]) for section in SPLITS] == [300, 33, 167]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 330
    for finding, positives in {"Atelectasis": 66, "Pneumonia": 257, "Hernia": 3}.items():
        assert sum(film["label"][CHESTXRAY14_LABELS.index(finding)] for film in films) == positives
