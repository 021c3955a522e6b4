"""Recipes: those that ship, overrides, and what cannot be meant."""

from __future__ import annotations

import json

import pytest

from crayoncodec.errors import TrainingError
from crayoncodec.training import recipes


class TestRecipes:
    @pytest.mark.parametrize("name", recipes.names())
    def test_what_ships_can_be_used(self, name):
        recipe = recipes.load(name)
        assert recipe.description
        assert recipes.from_dict(json.loads(json.dumps(vars(recipe)))) == recipe

    def test_the_paper(self):
        recipe = recipes.load("paper", ["spacings=[60]", "evaluated=[60]", "evaluate_every=0.5"])
        assert (recipe.architecture, recipe.sampling, recipe.loss) == ("crayon", "point", "mse")
        assert (recipe.optimizer, recipe.learning_rate, recipe.epochs, recipe.keep) == (
            "adam",
            1e-4,
            30,
            "best",
        )
        assert recipe.spacings == recipe.evaluated == (60,)

    def test_overrides(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text('steps = 7\nloss = "mse"')
        recipe = recipes.load(str(path), ["loss=rmse", "learning_rate=1e-3", "flips=false"])
        assert (recipe.steps, recipe.loss, recipe.learning_rate, recipe.flips) == (7, "rmse", 1e-3, False)

    @pytest.mark.parametrize(("override", "said"), [
        ("stepz=3", "recipes have no 'stepz'"),
        ("steps", "override 'steps', expected KEY=VALUE"),
        ("steps=many", "steps is 'many', expected something like 60000"),
        ("steps=0", "steps is 0, expected more than 0"),
        ("flips=1", "flips is 1, expected something like True"),
        ("loss=lpips", "loss is 'lpips', expected one of rmse, mse, mae, log, huber"),
        ("evaluated=[1.5]", "evaluated is (1.5,)"),
        ("spacings=[0]", "spacings is (0,), expected 1 to 65535"),
        ("spacing_range=[9, 3]", "spacing_range is (9, 3), expected least and largest value"),
        ("zoom=0.5", "zoom is 0.5, expected at least 1"),
        ("zoom=inf", "zoom is inf, expected finite numbers"),
        ("learning_rate=nan", "learning_rate is nan, expected finite numbers"),
        ("learning_rate=-1", "learning_rate is -1, expected more than 0"),
        ("step_range=[1.0, inf]", "step_range is (1.0, inf), expected finite numbers"),
        ("hue=-3.0", "hue is -3.0, expected 0 or more"),
        ("seed=-1", "seed is -1, expected 0 to 9223372036854775807"),
        ("seed=9223372036854775808", "seed is 9223372036854775808, expected 0 to"),
        ("side=1", "side is 1, expected more than 1"),
        ("lossy=1.5", "lossy is 1.5, expected 0 to 1"),
    ])  # fmt: skip
    def test_what_cannot_be_meant(self, override, said):
        with pytest.raises(TrainingError) as caught:
            recipes.load("compact", [override])
        assert said in str(caught.value)

    def test_no_recipe(self, tmp_path):
        with pytest.raises(TrainingError, match="no recipe 'compakt', expected one of compact, "):
            recipes.load("compakt")
        with pytest.raises(TrainingError, match="cannot be read"):
            recipes.load(str(tmp_path / "gone.toml"))
        (tmp_path / "bad.toml").write_text("steps = = 3")
        with pytest.raises(TrainingError, match="is not TOML"):
            recipes.load(str(tmp_path / "bad.toml"))
