"""What learns of the networks of nested grids, from what, by which loss; and several of them side by side."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, cast

import torch
from torch import Tensor, nn

from crayoncodec.color import differences
from crayoncodec.color.layers import Layer
from crayoncodec.color.predictor import COARSE
from crayoncodec.networks.behind_loop import Refiner
from crayoncodec.networks.in_loop import IntegerPredictor, Predictor
from crayoncodec.networks.integers import Trained
from crayoncodec.training.costs import Networks, Pictures, cheapest, code, turned
from crayoncodec.training.loop import follow

_PRICE: Final = 0.1
_JITTER: Final = 1 / 8
"""Octaves by which the steps of levels differ, standard deviation."""
_TYPICAL_STEP: Final = 30
_DETAILS: Final = 500
_ROUNDED: Final = 0.3
_WARMUP: Final = 200
_EPSILON: Final = 0.01
_WARM: Final = 3
"""Steps before kernels are recorded."""


class Part(NamedTuple):
    """One of the networks, and what it learns from."""

    name: str
    build: Callable[[], Trained]
    finest: tuple[int, ...]
    """Spacings of the finest level, by turns."""
    steps: tuple[float, float]
    """Quantiser steps for a cell of one pixel, log-uniform between these, in CIELAB units."""
    follows: bool = False
    """Whether it learns behind others, which are finished."""
    drawn: float = 0.0
    """Share of pictures that are drawings."""


PARTS: Final = (
    Part("coarse", partial(Predictor, 48, 3, 2, 32), (4, 4, 4, 2), (4.0, 110.0)),
    Part("fine", partial(Predictor, 16, 2, 1, 16), (2, 2, 2, 1), (1.0, 30.0), True),
    Part("behind", Refiner, (4, 2, 4, 4), (3.0, 110.0), True, 1 / 8),
)


class Batch(NamedTuple):
    """Pictures to learn from."""

    plane: Tensor
    """Lightness, int64[B,1,H,W], 0 to 255."""
    ab: Tensor
    """CIELAB units, f32[B,2,H,W]."""
    signs: Tensor
    """Of the axes in which colours are coded, f32[B,2,1,1], 1 or -1."""
    step: Tensor
    """Quantiser step of a cell of one pixel, CIELAB units, f32[B]."""

    def pictures(self) -> tuple[Pictures, Tensor]:
        """With colours in each picture's principal axes, and those axes, f32[B,2,2]."""
        ab, axes = turned(self.ab)
        return Pictures(self.plane, ab * self.signs, self.step), axes * self.signs[..., 0]


class Learner:
    """A network, its average, and what it learns by."""

    def __init__(
        self, part: Part, followed: Networks | None, learning_rate: float, device: torch.device,
        start: Mapping[str, Layer] | None = None,
    ) -> None:  # fmt: skip
        torch.manual_seed(0)
        self.part, self.followed = part, followed
        self.network = part.build()
        if start:
            self.network.take(start)
        self.network.to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self._peak = learning_rate
        on_gpu = device.type == "cuda"
        self.rate = torch.tensor(learning_rate, device=device)
        self.decay = torch.zeros((), device=device)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), self.rate if on_gpu else learning_rate, weight_decay=1e-4,
            capturable=on_gpu,
        )  # fmt: skip
        self.parts: dict[str, Any] = {
            "network": self.network,
            "average": self.average,
            "optimizer": self.optimizer,
        }
        """Of a state."""

    def prepare(self, step: int, passed: float) -> None:
        """Set what changes from step to step; passed: how much of the training is over, 0 to 1."""
        rate = self._peak * min(1.0, (step + 1) / _WARMUP) * 0.5 * (1 + math.cos(math.pi * passed))
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
        self.decay.fill_(min(0.999, (step + 1) / (step + 10)))
        self.network.rounds = passed >= 1 - _ROUNDED

    def learn(self, finest: int, *batch: Tensor) -> Tensor:
        """Learn from a Batch; the loss."""
        loss = self._loss(finest, Batch(*batch))
        parameters = list(self.network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimizer.step()
        follow(self.average, self.network, self.decay)
        return loss.detach()

    def _loss(self, finest: int, batch: Batch) -> Tensor:
        pictures, axes = batch.pictures()
        if isinstance(self.network, Refiner):
            assert self.followed is not None
            with torch.no_grad():
                cells = code(self.followed, pictures, finest, cheapest)[1]
                # As files have them: a* and b*, rounded.
                cells = torch.einsum("bji,bjhw->bihw", axes, cells.float()).round().long()
            return seen(self.network(batch.plane, cells, batch.step), batch.ab)
        cost, _ = code(self._networks, pictures, finest, jitter=_JITTER)
        loss = cost.squares + _PRICE * (cost.bits + cost.pull - cost.pull.detach())
        # Errors in steps count more where steps are large: so all qualities learn alike.
        return (loss * batch.step / _TYPICAL_STEP).mean() / _DETAILS

    def _networks(self, spacing: int) -> Predictor | IntegerPredictor:
        if self.followed is not None and spacing >= COARSE:
            return self.followed(spacing)
        return cast(Predictor, self.network)


def seen(painted: Tensor, truth: Tensor) -> Tensor:
    """Mean over pictures of the root of their mean squared errors, half of them as CIEDE2000 weighs them.

    As color.differences has it. AB f32[B,2,H,W].
    """
    error = painted - truth
    chroma = torch.linalg.vector_norm(truth, dim=1)
    along = (error * truth).sum(1) / chroma.clamp_min(1e-3)
    across = (error.square().sum(1) - along.square()).clamp_min(0)
    weighed = differences.along(chroma) * along.square() + differences.across(chroma) * across
    roots = [(squares.mean((-1, -2)) + _EPSILON).sqrt() for squares in (error.square().mean(1), weighed)]
    return torch.stack(roots).mean()


class SideBySide:
    """Steps of several learners at a time; on a GPU their kernels are recorded once, then replayed."""

    def __init__(self, learners: Sequence[Learner], device: torch.device) -> None:
        self._learners, self._device = learners, device
        self._recorded: dict[Hashable, tuple[Any, list[Tensor], list[Tensor]]] = {}
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True
            self._streams = [torch.cuda.Stream(device) for _ in learners]  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, turn: int, batches: Sequence[Batch]) -> list[Tensor]:
        """One step of each, with finest levels as it is their turn; the losses."""
        if self._device.type != "cuda":
            return self._learn(turn, [list(batch) for batch in batches])
        key = turn, self._learners[0].network.rounds
        given = [values for batch in batches for values in batch]
        if key not in self._recorded:
            self._record(key, turn, given)
        graph, taken, losses = self._recorded[key]
        for to, values in zip(taken, given, strict=True):
            to.copy_(values)
        graph.replay()
        return losses

    def _record(self, key: Hashable, turn: int, given: list[Tensor]) -> None:
        taken = [values.clone() for values in given]
        size = len(Batch._fields)
        batches = [taken[k : k + size] for k in range(0, len(taken), size)]
        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM):  # what is made once is not recorded
                self._apart(turn, batches)
        torch.cuda.current_stream().wait_stream(aside)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            losses = self._apart(turn, batches)
        self._recorded[key] = graph, taken, losses

    def _apart(self, turn: int, batches: list[list[Tensor]]) -> list[Tensor]:
        """Each on a stream of its own."""
        before = torch.cuda.current_stream()
        losses = []
        for learner, batch, stream in zip(self._learners, batches, self._streams, strict=True):
            stream.wait_stream(before)
            with torch.cuda.stream(stream):
                losses.append(learner.learn(learner.part.finest[turn], *batch))
        for stream in self._streams:
            before.wait_stream(stream)
        return losses

    def _learn(self, turn: int, batches: list[list[Tensor]]) -> list[Tensor]:
        pairs = zip(self._learners, batches, strict=True)
        return [learner.learn(learner.part.finest[turn], *batch) for learner, batch in pairs]
