"""``python -m crayoncodec.training``: train a compact network, or go on with one."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from crayoncodec.networks.compact import Compact
from crayoncodec.training.data import build_cache
from crayoncodec.training.loop import Recipe, train


@click.command(
    epilog="Example: python -m crayoncodec.training --data photos/ --validation val.tar --out runs/a"
)
@click.option(
    "--data",
    "sources",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack; may be given several times.",
)
@click.option(
    "--validation",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="The same, for validation.",
)
@click.option(
    "--out",
    "run",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the run; a run that is there is resumed.",
)
@click.option("--steps", default=Recipe.steps, show_default=True)
@click.option("--size", default=320, show_default=True, help="Side of the squares cut from the pictures.")
@click.option("--seed", default=Recipe.seed, show_default=True)
def main(
    sources: tuple[Path, ...], validation: tuple[Path, ...], run: Path, steps: int, size: int, seed: int
) -> None:
    """Train the compact network on folders or tar packs of pictures."""
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    train(
        Compact(),
        Recipe(steps=steps, seed=seed),
        build_cache(list(sources), run / "train.npy", size),
        build_cache(list(validation), run / "validation.npy", size),
        run,
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


if __name__ == "__main__":
    main()
