"""Studies with reports in the layouts in which they are downloaded."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from PIL import Image

from monai_mae_ext.data import report_datalist, study_datalist
from monai_mae_ext.errors import UserError
from monai_mae_ext.phantoms import write_chest_phantoms


def write_film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)


@pytest.fixture
def r2gen(tmp_path):
    """IU X-ray as R2Gen distributes it: two films a study."""
    sections = {"train": ["CXR1_a", "CXR1_b", "CXR2_a"], "val": ["CXR3_a"], "test": ["CXR4_a"]}
    entries = {
        name: [
            {"id": id, "report": f"Report of {id}, XXXX.", "image_path": [f"{id}/0.png", f"{id}/1.png"], "split": name}
            for id in ids
        ]
        for name, ids in sections.items()
    }
    (tmp_path / "annotation.json").write_text(json.dumps(entries))
    for film in (film for ids in entries.values() for entry in ids for film in entry["image_path"]):
        write_film(tmp_path / "images" / film)
    return tmp_path


def test_r2gen_layout_keeps_its_sections_and_both_views(r2gen):
    views = ("image", "lateral")
    training = report_datalist(r2gen, "training", views)
    assert [item["patient"] for item in training] == ["CXR1", "CXR1", "CXR2"]
    assert training[0] == {
        "image": str(r2gen / "images" / "CXR1_a" / "0.png"),
        "lateral": str(r2gen / "images" / "CXR1_a" / "1.png"),
        "report": "report of cxr1_a .",
        "patient": "CXR1",
    }
    assert [len(report_datalist(r2gen, section)) for section in ("validation", "test", "all")] == [1, 1, 5]
    assert "lateral" not in report_datalist(r2gen, "test")[0]


def test_studies_without_a_view_or_a_report_are_left_out_and_counted(r2gen, caplog):
    (r2gen / "images" / "CXR1_b" / "1.png").unlink()
    entries = json.loads((r2gen / "annotation.json").read_text())
    entries["train"][2]["report"] = "XXXX."
    (r2gen / "annotation.json").write_text(json.dumps(entries))
    assert len(report_datalist(r2gen, "training", ("image", "lateral"))) == 1
    assert all(words in caplog.text for words in ("1 of 3 training studies", "have no findings", "lack a film"))
    assert len(report_datalist(r2gen, "training")) == 2
    assert len(study_datalist(r2gen, "training")) == 3  # no report is needed to write one
    listed = study_datalist(r2gen, "training", ("image", "lateral"))
    assert [Path(item["lateral"]).name for item in listed] == ["1.png"] * 3  # its absence is a reason to be told
    del entries["train"][0]["image_path"][1]
    (r2gen / "annotation.json").write_text(json.dumps(entries))
    assert study_datalist(r2gen, "training", ("image", "lateral"))[0]["lateral"].endswith(
        "CXR1: no film of the view lateral"
    )


def test_openi_layout_reads_xml_parts_and_splits_by_patient(tmp_path, caplog):
    for number in range(40):
        names = [f"CXR{number}_IM-{view}" for view in range(2)]
        images = "".join(f'<parentImage id="{name}"><caption>Chest</caption></parentImage>' for name in names)
        text = f'<AbstractText Label="FINDINGS">No XXXX {number}.</AbstractText><AbstractText Label="IMPRESSION"/>'
        study = f"<eCitation><MedlineCitation><Abstract>{text}</Abstract></MedlineCitation>{images}</eCitation>"
        (tmp_path / "ecgen-radiology").mkdir(exist_ok=True)
        (tmp_path / "ecgen-radiology" / f"{number}.xml").write_text(study)
        for name in names:
            write_film(tmp_path / "NLMCXR_png" / f"{name}.png")
    lists = {name: report_datalist(tmp_path, name, ("image", "lateral")) for name in ("training", "validation", "test")}
    assert sum(map(len, lists.values())) == 40 and all(lists.values())
    item = lists["training"][0]
    assert item["report"] == f"no {item['patient']} ." and item["image"].endswith("_IM-0.png")
    assert item["lateral"].endswith("_IM-1.png")
    with pytest.raises(UserError, match="none of the 27 training studies of .* has impression"):
        report_datalist(tmp_path, "training", part="impression")
    (tmp_path / "ecgen-radiology" / "0.xml").write_text("<eCitation>")
    assert sum(len(report_datalist(tmp_path, name)) for name in ("training", "validation", "test")) == 39
    assert "0.xml is left out, it is no XML" in caplog.text


def test_mimic_layout_tells_views_by_its_metadata(tmp_path):
    rows = [("d1", 50, 10000032, "train", "PA"), ("d2", 50, 10000032, "train", "LATERAL"),
            ("d3", 51, 10000032, "train", "AP"), ("d4", 52, 11000001, "validate", "LL"),
            ("d5", 52, 11000001, "validate", "AP"), ("d6", 53, 12000001, "test", "")]  # fmt: skip
    split = "".join(f"{film},{study},{subject},{section}\n" for film, study, subject, section, _ in rows)
    with gzip.open(tmp_path / "mimic-cxr-2.0.0-split.csv.gz", "wt") as file:
        file.write(f"dicom_id,study_id,subject_id,split\n{split}")
    with pytest.raises(UserError, match=r"mimic-cxr-2\.0\.0-metadata\.csv is missing"):
        report_datalist(tmp_path, "training")
    metadata = "".join(f"{film},{view}\n" for film, *_, view in rows)
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(f"dicom_id,ViewPosition\n{metadata}")
    report = (
        " FINAL REPORT\n EXAMINATION: CHEST\n\n FINDINGS: \n \n Clear of ___\n LUNGS: lungs.\n\n IMPRESSION: Normal.\n"
    )
    for film, study, subject, *_ in rows:
        folder = tmp_path / "files" / f"p{str(subject)[:2]}" / f"p{subject}"
        write_film(folder / f"s{study}" / f"{film}.jpg")
        (folder / f"s{study}.txt").write_text(report)
    (tmp_path / "files" / "p10" / "p10000032" / "s51" / "d3.dcm").write_bytes(b"")
    one, two = report_datalist(tmp_path, "training")
    assert one["image"].endswith("s50/d1.jpg") and two["image"].endswith("s51/d3.dcm")
    assert one["report"] == "clear of lungs lungs ." and one["patient"] == "10000032"
    assert report_datalist(tmp_path, "validation", part="impression")[0]["report"] == "normal ."
    (both,) = report_datalist(tmp_path, "validation", ("image", "lateral"))
    assert both["image"].endswith("d5.jpg") and both["lateral"].endswith("d4.jpg")
    with pytest.raises(UserError, match="none of the 1 test studies of .* has findings and the views"):
        report_datalist(tmp_path, "test")
    (tmp_path / "files" / "p11" / "p11000001" / "s52.txt").write_bytes(b"\xff")
    assert len(report_datalist(tmp_path, "training")) == 2, "texts of other sections are not read"
    with pytest.raises(UserError, match=r"s52.txt is no text .*: download it again"):
        report_datalist(tmp_path, "validation")


def test_phantoms_come_with_reports_and_fractions_nest(tmp_path):
    folder = write_chest_phantoms(tmp_path / "films", n_films=40, size=32)
    lists = {name: report_datalist(folder, name) for name in ("training", "validation", "test")}
    assert sum(map(len, lists.values())) == 40 and all(lists.values())
    patients = [{item["patient"] for item in items} for items in lists.values()]
    assert not any(a & b for n, a in enumerate(patients) for b in patients[:n])
    tested = set((folder / "test_list.txt").read_text().split())
    assert {Path(item["image"]).name for item in lists["test"]} == tested
    half, most = (report_datalist(folder, "training", report_fraction=share) for share in (0.4, 0.8))
    assert 0 < len(half) < len(most) < len(lists["training"]) and all(item in most for item in half)


def test_a_folder_of_films_is_a_list_of_studies(tmp_path):
    for name in ("a.png", "ward/b.png"):
        write_film(tmp_path / name)
    assert study_datalist(tmp_path, "all") == [{"image": str(tmp_path / name)} for name in ("a.png", "ward/b.png")]
    (tmp_path / "notes.xml").write_text("<notes/>")
    assert len(study_datalist(tmp_path, "all")) == 2, "other XML files are nobody's list"
    with pytest.raises(UserError, match="no list of studies that pairs films"):
        study_datalist(tmp_path, "all", ("image", "lateral"))
    with pytest.raises(UserError, match="has no reports"):
        report_datalist(tmp_path, "all")


def test_the_patient_is_the_subject_where_one_is_named(r2gen):
    entries = json.loads((r2gen / "annotation.json").read_text())
    for number, entry in enumerate(entries["train"]):
        entry |= {"id": number, "subject_id": 7}
    (r2gen / "annotation.json").write_text(json.dumps(entries))
    assert {item["patient"] for item in report_datalist(r2gen, "training")} == {"7"}


def test_wrong_files_and_arguments_are_named(r2gen):
    for wrong, message in (
        ({"report_fraction": 0}, "report_fraction is above 0"),
        ({"part": "all"}, "report_part is"),
        ({"views": ["lateral"]}, "views are"),
    ):
        with pytest.raises(UserError, match=message):
            report_datalist(r2gen, "training", **wrong)
    for text in (
        "[",
        "[]",
        '{"train": [{"id": "a_1", "image_path": ["a.png"], "report": ["one"]}]}',
        '{"train": [{"id": "a"}]}',
        '{"holdout": [{"id": "a", "image_path": [], "report": ""}]}',
    ):
        (r2gen / "annotation.json").write_text(text)
        with pytest.raises(UserError, match="is not R2Gen's layout"):
            report_datalist(r2gen, "training")
