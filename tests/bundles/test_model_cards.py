"""Numbers in the model cards are those of the networks."""

from __future__ import annotations

import re

import pytest

from monai_mae_ext.delivery.packed_files import build_network, read_configs
from tests.bundles.conftest import BUNDLES


@pytest.mark.parametrize("name", [path.name for path in BUNDLES.iterdir()])
def test_the_card_tells_how_large_the_networks_are(name):
    told = re.findall(r"([\d.]+) million", (BUNDLES / name / "docs" / "README.md").read_text())
    networks = [build_network(BUNDLES / name, read_configs(BUNDLES / name, overlays)) for overlays in ([], ["quick"])]
    assert told == [f"{sum(weight.numel() for weight in net.parameters()) / 1e6:.1f}" for net in networks]
