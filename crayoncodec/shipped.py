"""Where the weights that ship lie: in the package if it is installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path


def models_folder() -> Path:
    """The folder with the default checkpoints and the networks in the loop."""
    installed = Path(__file__).with_name("models")
    return installed if installed.is_dir() else Path(__file__).parents[1] / "models"
