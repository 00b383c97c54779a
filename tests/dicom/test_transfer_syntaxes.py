from __future__ import annotations

import io
import shutil

import itk
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from monai_mae_ext.dicom.volume import read_series
from tests.dicom.scans import expected_values, only_series, read, refusal, scan, write_scan


def encoded(images, syntax, frame_of):
    """``images`` in an encapsulated syntax, ``frame_of`` each being its code stream."""
    for image in images:
        image.PixelData = encapsulate([frame_of(image)])
        image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    return images


def needs_decoder(syntax):
    if not get_decoder(syntax).is_available:
        pytest.skip("no decoder: pip install 'monai-mae-ext[dicom-codecs]'")


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless],
)
def test_encodings_that_pydicom_reads_by_itself(tmp_path, syntax):
    images = scan(3, PixelPaddingValue=4095)
    values = expected_values(images)
    for image in images:
        if syntax == RLELossless:
            image.compress(syntax)
        elif syntax == ExplicitVRBigEndian:
            image.PixelData = np.frombuffer(image.PixelData, "<u2").astype(">u2").tobytes()
    volume = read(tmp_path, images, syntax)
    np.testing.assert_array_equal(volume.values, values)
    assert volume.notes == ()


def test_lossless_jpeg_of_another_writer(tmp_path):
    needs_decoder(JPEGLosslessSV1)

    def compress(image):
        pixels = itk.image_from_array(np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns).copy())
        writer = itk.GDCMImageIO.New(CompressionType=0)
        itk.imwrite(pixels, str(tmp_path / "one.dcm"), imageio=writer, compression=True)
        written = pydicom.dcmread(tmp_path / "one.dcm")
        assert written.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        return next(pydicom.encaps.generate_frames(written.PixelData, number_of_frames=1))

    images = scan(3, BitsStored=16, HighBit=15)
    values = expected_values(images)
    volume = read(tmp_path / "scan", encoded(images, JPEGLosslessSV1, compress), JPEGLosslessSV1)
    np.testing.assert_array_equal(volume.values, values)


@pytest.mark.parametrize(("name", "syntax"), [("jpeg_ls_lossless", JPEGLSLossless), ("jp2klossless", JPEG2000Lossless)])
def test_real_code_streams(tmp_path, name, syntax):
    needs_decoder(syntax)
    for each in ("MR_small", f"MR_small_{name}"):
        (tmp_path / each).mkdir()
        shutil.copy(str(get_testdata_file(f"{each}.dcm")), tmp_path / each)
    plain, decoded = (read_series(only_series(tmp_path / each)) for each in ("MR_small", f"MR_small_{name}"))
    np.testing.assert_array_equal(decoded.values, plain.values)


def test_lossy_code_streams_are_read_and_noted(tmp_path):
    def compress(image):
        stream = io.BytesIO()
        Image.new("L", (image.Columns, image.Rows), 51).save(stream, "JPEG")
        return stream.getvalue()

    images = scan(2, BitsAllocated=8, BitsStored=8, HighBit=7)
    volume = read(tmp_path, encoded(images, JPEGBaseline8Bit, compress), JPEGBaseline8Bit)
    np.testing.assert_array_equal(volume.values, 51 - 1024)
    assert volume.notes == ("2 of 2 images were compressed with loss: values are not exact",)


def test_without_a_decoder_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(get_decoder(JPEGLSLossless), "_available", {})
    message = refusal(tmp_path, encoded(scan(2), JPEGLSLossless, lambda image: b"stream"), JPEGLSLossless)
    assert message.endswith(
        "is compressed as JPEG-LS Lossless Image Compression, for which no decoder is installed: "
        "pip install 'monai-mae-ext[dicom-codecs]'"
    )


def test_films_are_no_encoding_of_slices(tmp_path):
    message = refusal(tmp_path, encoded(scan(2), MPEG2MPML, lambda image: b"stream"), MPEG2MPML)
    assert "is compressed as MPEG2 Main Profile / Main Level: convert it, e.g. with gdcmconv --raw" in message


def test_a_damaged_code_stream(tmp_path):
    message = refusal(tmp_path, encoded(scan(2), JPEG2000Lossless, lambda image: b"no stream."), JPEG2000Lossless)
    assert "cannot decode image 2 (UID ending" in message and "copy or export it again, or pip install" in message


def test_a_file_that_does_not_tell_its_encoding(tmp_path):
    images = scan(2)
    for path in write_scan(tmp_path, images, ImplicitVRLittleEndian).iterdir():
        made = pydicom.dcmread(path)
        path.unlink()
        del made.file_meta
        made.save_as(path, implicit_vr=True, little_endian=True)
    volume = read_series(only_series(tmp_path))
    np.testing.assert_array_equal(volume.values, expected_values(images))
