"""Start a MONAI Label server with this project's bundles, without network."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path

from monai_mae_ext.delivery.download import download
from monai_mae_ext.delivery.zoo import newest
from monai_mae_ext.errors import UserError
from monai_mae_ext.label.compat import cure_monai_label

__all__ = ["start_label_server"]

INSTALL = "python -m pip install 'monai-mae-ext[label]' && python -m pip install --no-deps monailabel==0.8.5"
MAIN = """from monai_mae_ext.label.compat import cure_monai_label

cure_monai_label()
from monai_mae_ext.label.app import BundleApp
"""
"""``main.py`` of the app's folder, from which MONAI Label takes the app in each of its processes."""


def start_label_server(
    studies: str,
    bundles: str = "bundles",
    models: Sequence[str] | str = (),
    overlays: Sequence[str] | str = (),
    app_dir: str = "label",
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """Serve bundles to MONAI Label's clients, until interrupted.

    Whoever reaches the port may read images and save labels: other hosts than the default are for networks that you
    trust.

    Args:
        studies: folder of images, or address of a DICOMweb server.
        bundles: folder of bundles, which are trained in place, or of packed ones (a zoo), which are unpacked in
            ``app_dir/model``.
        models: names of the bundles to serve, all if none is named. A pre-training lends its encoder to trainings of
            the same modality.
        overlays: configurations that are laid over all these bundles' own, such as ``quick``.
        app_dir: working folder, for logs, scores and unpacked bundles.
        host, port: where the server listens.

    Raises:
        UserError: if MONAI Label is not installed, or for folders, models and overlays that are not there.
    """
    if importlib.util.find_spec("monailabel") is None:
        raise UserError(f"MONAI Label is not installed: {INSTALL}")
    from monai_mae_ext.label.bundle import LabelBundle  # imports what takes seconds

    remote = studies.startswith(("http://", "https://"))
    if not remote and not Path(studies).is_dir():
        raise UserError(f"no folder {studies}: pass --studies FOLDER, or the address of a DICOMweb server")
    room = Path(app_dir).resolve()
    folders = find_bundles(Path(bundles), as_list(models), room)
    for folder in folders:
        LabelBundle(folder, as_list(overlays))
    prepare(room, studies if remote else str(Path(studies).resolve()), folders, as_list(overlays), port)
    cure_monai_label()
    import uvicorn
    from monailabel.config import settings
    from monailabel.utils.others.generic import init_log_config

    print(f"label server of {', '.join(folder.name for folder in folders)}: http://{host}:{port}")
    # By default a page of any origin, open in an annotator's browser, could read all images. Processes that MONAI Label
    # starts break at this setting in their environment.
    settings.MONAI_LABEL_CORS_ORIGINS = settings.MONAI_LABEL_CORS_ORIGINS or [f"http://{host}:{port}"]
    os.environ.pop("MONAI_LABEL_CORS_ORIGINS", None)
    log_config = init_log_config(None, str(room), "app.log", "INFO")
    uvicorn.run("monailabel.app:app", host=host, port=port, log_config=log_config, access_log=False)


def as_list(names: Sequence[str] | str) -> list[str]:
    """Names as a command line gives them: one, several with commas, or a list."""
    return [name for name in names.split(",") if name] if isinstance(names, str) else list(names)


def find_bundles(source: Path, names: Sequence[str], room: Path) -> list[Path]:
    """Folders of the bundles that are asked for; those of a zoo are unpacked in ``room``, unless they are there."""
    listing = source / "model_info.json"
    if listing.is_file():
        there = [key.split("_v")[0] for key in newest(json.loads(listing.read_text()))]
    else:
        there = sorted(path.parents[1].name for path in source.glob("*/configs/train.json"))
    if not there:
        raise UserError(f"no bundles in {source}: pass --bundles FOLDER")
    if missing := [name for name in names if name not in there]:
        raise UserError(f"no bundle {missing[0]} in {source}: there are {', '.join(there)}")
    chosen = list(names) or there
    if not listing.is_file():
        return [(source / name).resolve() for name in chosen]
    for name in chosen:
        download(name, source.resolve().as_uri(), str(room / "model"))
    return [room / "model" / name for name in chosen]


def prepare(room: Path, studies: str, folders: Sequence[Path], overlays: Sequence[str], port: int) -> None:
    """Make the app's folder, and set what MONAI Label, here and in its processes, reads from the environment."""
    for name in ("model", "logs", "sessions"):
        (room / name).mkdir(parents=True, exist_ok=True)
    (room / "main.py").write_text(MAIN)
    conf = {"bundles": json.dumps([str(folder) for folder in folders]), "overlays": json.dumps(list(overlays))}
    os.environ |= {
        "MONAI_LABEL_APP_DIR": str(room),
        "MONAI_LABEL_STUDIES": studies,
        "MONAI_LABEL_APP_CONF": json.dumps(conf),
        "MONAI_LABEL_SERVER_PORT": str(port),
    }
    os.environ.setdefault("MONAI_LABEL_DICOMWEB_CACHE_EXPIRY", "60")  # seconds until new studies are seen
    os.environ.setdefault("MONAI_LABEL_SESSION_PATH", str(room / "sessions"))
    os.environ.setdefault("PYTHONPATH", "")  # MONAI Label adds to it, and fails where there is none
