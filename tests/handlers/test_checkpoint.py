from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_mae_ext.errors import UserError
from monai_mae_ext.handlers import AtomicCheckpoint, EpochSeed, LoadWeights, pace
from monai_mae_ext.weights import check_facts, load_weights, read_checkpoint
from tests.handlers.conftest import tiny_network


def checkpointed(folder: Path):
    return lambda network, optimizer, dataset: [EpochSeed(dataset), AtomicCheckpoint(folder, network, optimizer)]


def weights(trainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.network.parameters()])


def test_resumed_run_equals_an_unbroken_one_bit_for_bit(make_trainer, tmp_path: Path) -> None:
    whole = make_trainer(checkpointed(tmp_path / "whole"), epochs=4)
    whole.run()
    make_trainer(checkpointed(tmp_path / "broken"), epochs=2).run()
    resumed = make_trainer(checkpointed(tmp_path / "broken"), epochs=4)
    torch.manual_seed(1234)
    resumed.run()
    assert resumed.state.epoch == 4 and resumed.state.iteration == whole.state.iteration
    assert torch.equal(weights(whole), weights(resumed))


def test_a_crash_while_saving_leaves_the_last_checkpoint(make_trainer, tmp_path: Path, monkeypatch) -> None:
    make_trainer(checkpointed(tmp_path), epochs=1).run()
    before = (tmp_path / "last.pt").read_bytes()

    def half_a_file(state: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        make_trainer(checkpointed(tmp_path), epochs=2).run()
    assert (tmp_path / "last.pt").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "model.pt"]
    assert read_checkpoint(tmp_path / "last.pt")["epoch"] == 1


def test_epochs_shorter_than_writing_are_written_when_it_is_due_and_at_the_end(
    make_trainer, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(pace, "SHARE", 1e-9)
    written = []

    class Spy(AtomicCheckpoint):
        def state(self, engine):
            written.append(engine.state.epoch)
            return super().state(engine)

    make_trainer(lambda network, optimizer, dataset: [Spy(tmp_path, network, optimizer)], epochs=4).run()
    assert written == [1, 4] and read_checkpoint(tmp_path / "last.pt")["epoch"] == 4

    class Validation:
        class state:  # noqa: N801
            best_metric, best_metric_epoch = 0.5, 6

    def judged(network, optimizer, dataset):
        return [Spy(tmp_path, network, optimizer, evaluator=Validation)]  # type: ignore[arg-type]

    torch.save({**read_checkpoint(tmp_path / "last.pt"), "best": {"metric": 0.5, "epoch": 6}}, tmp_path / "last.pt")
    make_trainer(judged, epochs=8).run()
    assert written == [1, 4, 5, 6, 8], "an improvement does not wait"


def test_the_position_of_the_schedule_is_restored_but_not_its_length(make_trainer, tmp_path: Path) -> None:
    def handlers(network, optimizer, dataset):
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        schedule.last_epoch = 17
        return [AtomicCheckpoint(tmp_path, network, optimizer, schedule)]

    make_trainer(handlers, epochs=1).run()
    network = tiny_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (2 + step))
    trainer = make_trainer(lambda *_: [], epochs=3)
    AtomicCheckpoint(tmp_path, network, optimizer, schedule).resume(trainer)
    optimizer.step()
    schedule.step()
    assert schedule.last_epoch == 18
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1.0 / (2 + 18)), "base rate and curve are the new run's"


def test_only_an_improvement_replaces_the_best_weights(make_trainer, tmp_path: Path) -> None:
    class Validation:
        class state:  # noqa: N801
            best_metric, best_metric_epoch = 0.5, 1

    def handlers(network, optimizer, dataset):
        return [AtomicCheckpoint(tmp_path, network, optimizer, evaluator=Validation)]  # type: ignore[arg-type]

    trainer = make_trainer(handlers, epochs=1)
    trainer.run()
    best = (tmp_path / "model.pt").read_bytes()
    make_trainer(handlers, epochs=2).run()
    assert (tmp_path / "model.pt").read_bytes() == best
    assert read_checkpoint(tmp_path / "last.pt")["best"] == {"metric": 0.5, "epoch": 1}


def test_wrong_checkpoints_are_named_with_a_cure(make_trainer, tmp_path: Path) -> None:
    make_trainer(checkpointed(tmp_path), epochs=1).run()
    other = tiny_network(num_layers=3)
    with pytest.raises(UserError, match=r"last.pt holds another architecture .*encoder.blocks.2"):
        load_weights(other, read_checkpoint(tmp_path / "last.pt")["network"], tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"is \(16, 1, 4, 4\) in the file and \(16, 2, 4, 4\) in the network"):
        load_weights(tiny_network(in_channels=2), read_checkpoint(tmp_path / "model.pt"), "model.pt")
    with pytest.raises(UserError, match="2 iterations an epoch, this run has 1"):
        make_trainer(checkpointed(tmp_path), epochs=2, images=[torch.rand(1, 16, 16) for _ in range(4)]).run()
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="last.pt cannot be read as a checkpoint"):
        make_trainer(checkpointed(tmp_path), epochs=2).run()


def test_a_network_that_computes_otherwise_with_the_same_weights_is_refused(
    make_trainer, make_evaluator, tmp_path: Path
) -> None:
    make_trainer(checkpointed(tmp_path), epochs=1).run()
    for changes, message in (({"num_heads": 4}, "num_heads 2, the network here has 4"),
                             ({"decoder_recall": True}, "decoder_recall False")):  # fmt: skip
        other = tiny_network(**changes)
        with pytest.raises(UserError, match=rf"model.pt was trained with {message}"):
            make_evaluator([LoadWeights(other, tmp_path / "model.pt")], other).run()
    same = tiny_network(drop_path=0.1, checkpointing=True)
    make_evaluator([LoadWeights(same, tmp_path / "model.pt")], same).run()
    facts = {**tiny_network().facts, "attention": "factorised"}
    with pytest.raises(UserError, match="set network_def#attention, or lay the same overlays"):
        check_facts(tiny_network(), facts, "last.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "evil",))

    torch.save({"network": Evil()}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "evil").exists()


def test_missing_weights_say_what_to_do(make_evaluator, tmp_path: Path) -> None:
    network = tiny_network()
    evaluator = make_evaluator([LoadWeights(network, tmp_path / "model.pt")], network)
    with pytest.raises(UserError, match="no checkpoint at .*model.pt: train first, or correct the path"):
        evaluator.run()
