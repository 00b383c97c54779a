#!/usr/bin/env bash
# Sets up in .clinic/ what tests/clinic and tests/label need beside the project's own environment: an environment with
# MONAI Label, and Orthanc with its DICOMweb plugin, taken out of Debian packages (nothing is installed system-wide).
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .clinic/packages/partial
if [ ! -d .clinic/orthanc ]; then
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends --download-only --reinstall \
        -o Dir::Cache::archives="$PWD/.clinic/packages" orthanc orthanc-dicomweb
    for package in .clinic/packages/*.deb; do
        dpkg -x "$package" .clinic/orthanc.part
    done
    mv .clinic/orthanc.part .clinic/orthanc
fi
if [ ! -e .clinic/venv/.installed ] || [ constraints-label.txt -nt .clinic/venv/.installed ] || [ setup.cfg -nt .clinic/venv/.installed ]; then
    pins=(-c constraints.txt -c constraints-label.txt)
    "${PYTHON:-python3}" -m venv .clinic/venv
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" torch
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" -e ".[test,label]"
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" --no-deps monailabel
    touch .clinic/venv/.installed
fi
