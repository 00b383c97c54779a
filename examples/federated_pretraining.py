"""Federated pre-training: hospitals share weights, never images.

Run from the top of the repository:
python examples/federated_pretraining.py --sites "['DIR_A','DIR_B']" --out runs/federated

Each site's client is MONAI's ``MonaiAlgo`` over a pre-training bundle, the one that FL platforms such as NVIDIA FLARE
run at a hospital; the server, which averages weights by how many steps each site took (FedAvg, arXiv 1602.05629), is
simulated here, in one process. Each round's average is written as an encoder that fine-tuning starts from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fire
from monai.bundle import ConfigWorkflow
from monai.fl.client import MonaiAlgo
from monai.fl.utils.constants import ExtraItems, FlStatistics
from monai.fl.utils.exchange_object import ExchangeObject
from torch import Tensor

from monai_mae_ext.networks import save_encoder


def site_client(bundle: Path, configs: Sequence[str], out: Path, rounds: int, epochs: int, **keys: Any) -> MonaiAlgo:
    """A client that trains ``epochs`` epochs a round on its own images, with one learning-rate schedule for all."""
    files = [str(bundle / "configs" / "train.json"), *configs]
    keys |= {"bundle_root": str(bundle), "ckpt_dir": str(out / "models"), "output_dir": str(out / "train")}
    keys["lr_scheduler#t_total"] = f"${rounds * epochs} * len(@train#dataloader)"
    workflow = ConfigWorkflow(config_file=files, workflow_type="train", logging_file=False, **keys)
    for number, handler in enumerate(workflow.parser["train#handlers"]):
        if handler["_target_"].endswith(
            "AtomicCheckpoint"
        ):  # it would resume the site's weights, not take the server's
            workflow.parser[f"train#handlers#{number}#_disabled_"] = True
    client = MonaiAlgo(
        str(bundle), epochs, send_weight_diff=False, config_evaluate_filename=None, train_workflow=workflow
    )
    client.initialize({ExtraItems.CLIENT_NAME: out.name})
    return client


def average(updates: Sequence[ExchangeObject]) -> dict[str, Tensor]:
    """Mean of the sites' weights, each counted by its steps."""
    steps = [update.statistics[FlStatistics.NUM_EXECUTED_ITERATIONS] for update in updates]
    return {
        name: sum(update.weights[name] * (count / sum(steps)) for update, count in zip(updates, steps, strict=True))
        for name in updates[0].weights
    }


def main(
    sites: Sequence[str],
    out: str = "runs/federated",
    bundle: str = "bundles/cxr_mae_pretraining",
    configs: Sequence[str] = ("bundles/cxr_mae_pretraining/configs/quick.json",),
    rounds: int = 10,
    epochs: int = 1,
    **keys: Any,
) -> None:
    """Pre-train on the images of all sites.

    Args:
        sites: a data set's folder for each.
        out: gets ``encoder.safetensors``, and each site's history.
        bundle: of pre-training.
        configs: overlays.
        rounds, epochs: so many epochs at each site, so many times.
        keys: overrides of the bundle's keys.
    """
    root = Path(out)
    clients = [
        site_client(Path(bundle), configs, root / f"site{number}", rounds, epochs, dataset_dir=site, **keys)
        for number, site in enumerate(sites)
    ]
    network = clients[0].trainer.network
    weights = {name: weight.clone() for name, weight in network.state_dict().items()}
    for number in range(rounds):
        for client in clients:
            client.train(ExchangeObject(weights=weights))
        losses = [client.trainer.state.metrics["train_loss"] for client in clients]
        weights = average([client.get_weights() for client in clients])
        network.load_state_dict(weights)
        save_encoder(network, root / "encoder.safetensors")
        print(f"round {number + 1} of {rounds}: loss at the sites", *(f"{loss:.4f}" for loss in losses), flush=True)
    for client in clients:
        client.finalize()


if __name__ == "__main__":
    fire.Fire(main)
