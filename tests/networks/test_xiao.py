"""XiaoNet: its layers are those of the authors' program, walked against the module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from crayoncodec.networks import XiaoNet
from crayoncodec.networks.xiao import sobel
from crayoncodec.painting import checkpoints
from crayoncodec.training.export import macs_per_pixel

# Name there, channels in and out in units of the width (planes as such), kernel, dilation, whether it is
# normalised or else has a bias: "n", "b" or "-".
PUBLISHED = """
bw_conv1_1 1p 1 3 1 b
gra_conv1_1 1p 1 3 1 b
ab_conv1_1 3p 1 3 1 b
conv1_1 1 1 3 1 b
conv1_2 1 1 3 1 n
conv2_1 1 2 3 1 b
conv2_2 2 2 3 1 n
conv3_1 2 4 3 1 b
conv3_2 4 4 3 1 b
conv3_3 4 4 3 1 n
conv4_1 4 8 3 1 b
conv4_2 8 8 3 1 b
conv4_3 8 8 3 1 n
conv5_1 8 8 3 2 b
conv5_2 8 8 3 2 b
conv5_3 8 8 3 2 n
conv6_1 8 8 3 2 b
conv6_2 8 8 3 2 b
conv6_3 8 8 3 2 n
conv7_1 8 8 3 1 b
conv7_2 8 8 3 1 b
conv7_3 8 8 3 1 n
conv3_3_short 4 4 3 1 b
conv2_2_short 2 2 3 1 b
conv1_2_short 1 2 3 1 b
conv8_1 8 4 4 1 b
conv9_1 4 2 4 1 b
conv10_1 2 2 4 1 b
conv8_2 4 4 3 1 b
conv8_3 4 4 3 1 n
conv9_2 2 2 3 1 n
conv10_2 2 2 3 1 n
conv10_ab 2 2p 1 1 b
n64s1 3p 1 3 1 -
"""
RESIDUAL = 16 * ["dn64s1 1 1 3 1 -"]
ROWS = [
    row.split() for row in [*PUBLISHED.strip().splitlines(), *RESIDUAL, "n256s1 1 4 3 1 -", "out 4 2p 1 1 -"]
]


def channels(said, width):
    return int(said[:-1]) if said.endswith("p") else int(said) * width


@pytest.mark.parametrize("width", [64, 5])
def test_layers_are_the_published_ones(width):
    with torch.device("meta"):
        network = XiaoNet(width)
    modules = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]
    normalised = sum(row[5] == "n" for row in ROWS)
    found = [
        [
            module.in_channels,
            module.out_channels,
            module.kernel_size[0],
            module.dilation[0],
            module.bias is not None,
        ]
        for module in modules
    ]
    assert found == [
        [channels(row[1], width), channels(row[2], width), int(row[3]), int(row[4]), row[5] == "b"]
        for row in ROWS
    ]
    gains = [name for name, _ in network.named_parameters() if name.endswith("gain")]
    assert len(gains) == normalised


def test_size():
    network = XiaoNet().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 34_825_474
    assert macs_per_pixel(network) == 1_924_352


def test_sobel_is_the_length_of_the_gradient():
    ramp = torch.arange(8.0).repeat(6, 1) * 3 + torch.arange(6.0)[:, None] * 4
    assert torch.allclose(sobel(ramp[None, None])[..., 1:-1, 1:-1], torch.tensor(8 * 5.0))


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    network = XiaoNet(2).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * parameter.abs() + 0.01)  # every path counts
    return network


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (17, 8)])
def test_any_picture_size(small, shape):
    with torch.inference_mode():
        ab = small(torch.rand(1, 1, *shape) * 100, torch.zeros(1, 3, *shape))
    assert ab.shape == (1, 2, *shape)
    assert np.isfinite(ab.numpy()).all()


@pytest.mark.parametrize("row", [224, 231])
def test_nothing_beyond_its_reach_counts_and_what_is_near_does(small, row):
    network = XiaoNet(1).double().eval()
    network.load_state_dict({name: torch.full_like(w, 0.05) for name, w in network.state_dict().items()})
    lightness = (torch.rand(1, 1, 448, 8, dtype=torch.float64) * 9 + 50).requires_grad_()
    sparse = torch.rand(1, 3, 448, 8, dtype=torch.float64).requires_grad_()
    network(lightness, sparse)[..., row, 4].sum().backward()
    rows = torch.cat([(lightness.grad**2).sum((0, 1, 3)), (sparse.grad**2).sum((0, 1, 3))]).view(2, -1)
    for heard in rows:
        far = (heard.nonzero().flatten() - row).abs().max()
        assert network.reach - 2 * network.multiple < far <= network.reach


def test_a_sample_of_grey_is_not_an_empty_pixel(small):
    lightness, empty = torch.full((1, 1, 16, 16), 50.0), torch.zeros(1, 3, 16, 16)
    grey = empty.clone()
    grey[:, 2, 8, 8] = 1
    with torch.inference_mode():
        assert not torch.equal(small(lightness, empty), small(lightness, grey))


def test_statistics_of_batches_are_in_its_checkpoint(tmp_path):
    network = XiaoNet(2).train()
    for _ in range(3):
        network(torch.rand(2, 1, 16, 16) * 100, torch.rand(2, 3, 16, 16))
    path = tmp_path / "xiao.safetensors"
    network.eval()
    checkpoints.save(network, path, half=False, version="1", architecture="xiaonet", config=network.config,
                     macs_per_pixel=1, description="", license="")  # fmt: skip
    loaded, _ = checkpoints.load(str(path))
    assert not loaded.training
    picture = torch.rand(1, 1, 16, 16) * 100, torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded(*picture), network(*picture))
    assert F.l1_loss(network.state_dict()["down.0.3.mean"], torch.zeros(2)) > 0
