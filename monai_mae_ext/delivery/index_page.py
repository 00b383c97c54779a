"""The zoo's index page: what each bundle does, takes and gives, how well, under which licence."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

__all__ = ["index_page"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model zoo</title>
<style>
body {{ font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; }}
article {{ border-top: 1px solid #ccc; padding: 1rem 0; overflow: auto; }}
img {{ float: right; max-width: 20rem; max-height: 16rem; margin: 0 0 1rem 1rem; }}
dt {{ font-weight: 600; }}
dd {{ margin: 0 0 .4rem 0; }}
code {{ background: #f3f3f3; overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #181818; color: #ddd; }} code {{ background: #303030; }} }}
</style>
</head>
<body>
<h1>Model zoo</h1>
<p>A bundle's configuration is code: read it before you run it. Not medical devices.
Sums of all files: <a href="SHA256SUMS">SHA256SUMS</a>.</p>
{cards}
</body>
</html>
"""

CARD = """<article>
{picture}<h2>{name} {version}</h2>
<p>{description}</p>
<dl>
{facts}
</dl>
<p><a href="{file}">{file}</a>, {size:.1f} MiB, sha256 <code>{checksum}</code></p>
</article>"""


def index_page(bundles: dict[Path, str]) -> str:
    """HTML for a person to browse.

    Args:
        bundles: the zips to show, with the sha256 of each.
    """
    return PAGE.format(cards="\n".join(card(path, checksum) for path, checksum in bundles.items()))


def card(path: Path, checksum: str) -> str:
    """One bundle: what its zip says of itself."""
    name, version = path.stem.split("_v")
    with ZipFile(path) as archive:
        metadata = json.loads(archive.read(f"{name}/configs/metadata.json"))
        inside = set(archive.namelist())
        picture = f"{name}/docs/picture.png"
        drawn = base64.b64encode(archive.read(picture)).decode() if picture in inside else ""
    weights = f"{name}/models/model.pt" in inside
    shown = [(title, html.escape(text)) for title, text in facts(metadata, weights) if text]
    return CARD.format(
        picture=f'<img alt="" src="data:image/png;base64,{drawn}">\n' if drawn else "",
        name=html.escape(name),
        version=version,
        description=html.escape(metadata["description"]),
        facts="\n".join(f"<dt>{title}</dt><dd>{text}</dd>" for title, text in shown),
        file=path.name,
        size=path.stat().st_size / 2**20,
        checksum=checksum,
    )


def facts(metadata: dict[str, Any], weights: bool) -> list[tuple[str, str]]:
    """Titles and texts of what a reader asks first; an empty text is left out."""
    image = metadata["network_data_format"]["inputs"]["image"]
    size = " x ".join(map(str, image["spatial_shape"]))
    scores = metadata.get("eval_metrics", {})
    return [
        ("Task", metadata["task"]),
        ("Input", f"{metadata.get('image_classes', image['format'])}; {image['num_channels']} x {size}"),
        ("Output", metadata.get("pred_classes", "")),
        ("Labels", metadata.get("label_classes", "")),
        ("Weights", metadata.get("data_source", "") if weights else "none: train your own"),
        ("Metrics", ", ".join(f"{name} {value:.4g}" for name, value in scores.items())),
        ("Intended use", metadata.get("intended_use", "")),
        ("Licence", metadata["copyright"]),
        ("Needs", f"MONAI {metadata['monai_version']}, PyTorch {metadata['pytorch_version']}"),
    ]
