from __future__ import annotations

import pytest
from ignite.engine import Engine, Events

from monai_mae_ext.handlers import MaskingRamp
from monai_mae_ext.transforms import RegionMasking


@pytest.mark.parametrize(("epochs", "expected"), [(4, [0, 0.25, 0.5, 0.75, 1, 1]), (0, [1] * 6)])
def test_strength_of_each_epoch(epochs, expected):
    masking, seen = RegionMasking(4), []
    engine = Engine(lambda engine, batch: None)
    MaskingRamp(masking, epochs).attach(engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen.append(masking.strength))
    engine.run([0], max_epochs=6)
    assert seen == expected
