#!/usr/bin/env bash
# Sets up in .clinic/ what tests/clinic and tests/label need beside the project's own environment: an environment with
# MONAI Label, and out of Debian packages Orthanc with its DICOMweb plugin and Chromium. Nothing is installed
# system-wide.
set -euo pipefail
cd "$(dirname "$0")/../.."

unpack() { # a folder in .clinic, and the packages whose files it gets
    local target=.clinic/$1 packages=.clinic/packages/$1
    shift
    if [ ! -d "$target" ]; then
        mkdir -p "$packages/partial"
        apt-get -qq install -y --no-install-recommends --download-only --reinstall -o Dir::Cache::archives="$PWD/$packages" "$@"
        for package in "$packages"/*.deb; do
            dpkg -x "$package" "$target.part"
        done
        mv "$target.part" "$target"
    fi
}

if [ ! -d .clinic/orthanc ] || [ ! -d .clinic/chromium ]; then
    apt-get -qq update
fi
unpack orthanc orthanc orthanc-dicomweb
unpack chromium chromium chromium-driver fonts-dejavu-core

ready=.clinic/venv/.installed
if [ ! -e $ready ] || [ constraints-label.txt -nt $ready ] || [ setup.cfg -nt $ready ]; then
    pins=(-c constraints.txt -c constraints-label.txt)
    "${PYTHON:-python3}" -m venv .clinic/venv
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" torch
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" -e ".[test,label]" selenium
    .clinic/venv/bin/python -m pip install -q "${pins[@]}" --no-deps monailabel
    touch $ready
fi
