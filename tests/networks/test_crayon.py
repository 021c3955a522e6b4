"""The Crayon network is the paper's: all 80 rows of tables 1 and 2, walked against the module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from crayoncodec.networks import Crayon
from crayoncodec.training.export import macs_per_pixel

# Layer, operation, X_i, X_o, C_i, C_o, K, S, P, D, Data From; "-" for N/A. Where the paper misprints, the row
# is what must have been meant: 51 (C_o printed 3), 77 (C_i and C_o printed 64), 78 (C_i as printed).
PAPER = """
0 Input - 320 - 1 - - - - -
1 Input - 320 - 2 - - - - -
2 Conv 320 320 3 64 3 1 1 1 0,1
3 ReLU 320 320 64 64 - - - - 2
4 Conv 320 320 64 64 3 1 1 1 3
5 ReLU 320 320 64 64 - - - - 4
6 Pool 320 160 64 64 2 2 0 1 5
7 Conv 160 160 64 128 3 1 1 1 6
8 ReLU 160 160 128 128 - - - - 7
9 Conv 160 160 128 128 3 1 1 1 8
10 ReLU 160 160 128 128 - - - - 9
11 Pool 160 80 128 128 2 2 0 1 10
12 Conv 80 80 128 256 3 1 1 1 11
13 ReLU 80 80 256 256 - - - - 12
14 Conv 80 80 256 256 3 1 1 1 13
15 ReLU 80 80 256 256 - - - - 14
16 Pool 80 40 256 256 2 2 0 1 15
17 Conv 40 40 256 512 3 1 1 1 16
18 ReLU 40 40 512 512 - - - - 17
19 Conv 40 40 512 512 3 1 1 1 18
20 ReLU 40 40 512 512 - - - - 19
21 Conv 40 40 512 512 3 1 2 2 20
22 ReLU 40 40 512 512 - - - - 21
23 Conv 40 40 512 512 3 1 2 2 22
24 ReLU 40 40 512 512 - - - - 23
25 Conv 40 40 512 512 3 1 2 2 24
26 ReLU 40 40 512 512 - - - - 25
27 Conv 40 40 512 512 3 1 2 2 26
28 ReLU 40 40 512 512 - - - - 27
29 Conv 40 40 512 512 3 1 2 2 28
30 ReLU 40 40 512 512 - - - - 29
31 Conv 40 40 512 512 3 1 2 2 30
32 ReLU 40 40 512 512 - - - - 31
33 Conv 40 40 512 512 3 1 1 1 32
34 ReLU 40 40 512 512 - - - - 33
35 Transposed 40 80 512 256 2 2 0 1 34
36 ReLU 80 80 256 256 - - - - 35
37 Concat 80 80 512 512 - - - - 15,36
38 Conv 80 80 512 256 3 1 1 1 37
39 ReLU 80 80 256 256 - - - - 38
40 Transposed 80 160 256 128 2 2 0 1 39
41 ReLU 160 160 128 128 - - - - 40
42 Concat 160 160 256 256 - - - - 10,41
43 Conv 160 160 256 128 3 1 1 1 42
44 ReLU 160 160 128 128 - - - - 43
45 Transposed 160 320 128 128 2 2 0 1 44
46 ReLU 320 320 128 128 - - - - 45
47 Concat 320 320 192 192 - - - - 5,46
48 Conv 320 320 192 128 3 1 1 1 47
49 ReLU 320 320 128 128 - - - - 48
50 Conv 320 320 128 2 1 1 0 1 49
51 Concat 320 320 5 5 - - - - 0,1,50
52 Conv 320 320 5 64 3 1 1 1 51
53 ReLU 320 320 64 64 - - - - 52
54 Conv 320 320 64 64 3 1 1 1 53
55 ReLU 320 320 64 64 - - - - 54
56 Conv 320 320 64 64 3 1 1 1 55
57 ReLU 320 320 64 64 - - - - 56
58 Conv 320 320 64 64 3 1 1 1 57
59 ReLU 320 320 64 64 - - - - 58
60 Add 320 320 64 64 - - - - 54,59
61 Conv 320 320 64 64 3 1 1 1 60
62 ReLU 320 320 64 64 - - - - 61
63 Conv 320 320 64 64 3 1 1 1 62
64 ReLU 320 320 64 64 - - - - 63
65 Add 320 320 64 64 - - - - 60,64
66 Conv 320 320 64 64 3 1 1 1 65
67 ReLU 320 320 64 64 - - - - 66
68 Conv 320 320 64 64 3 1 1 1 67
69 ReLU 320 320 64 64 - - - - 68
70 Add 320 320 64 64 - - - - 65,69
71 Conv 320 320 64 64 3 1 1 1 70
72 ReLU 320 320 64 64 - - - - 71
73 Conv 320 320 64 64 3 1 1 1 72
74 ReLU 320 320 64 64 - - - - 73
75 Add 320 320 64 64 - - - - 70,74
76 Conv 320 320 64 256 3 1 1 1 75
77 ReLU 320 320 256 256 - - - - 76
78 Conv 320 320 256 2 3 1 1 1 77
79 Concat 320 320 3 3 - - - - 0,78
"""
ROWS = [row.split() for row in PAPER.strip().splitlines()]
NAMES = {
    "input": "Input",
    "conv": "Conv",
    "relu": "ReLU",
    "pool": "Pool",
    "transposed": "Transposed",
    "concat": "Concat",
    "add": "Add",
}


@pytest.fixture(scope="module")
def crayon():
    torch.manual_seed(0)
    return Crayon().eval()


@pytest.fixture(scope="module")
def widths(crayon):
    """Spatial size of every layer's output for a 320 x 320 picture, found on shapes alone."""
    seen = {0: 320, 1: 320}
    output = Crayon._output

    def record(self, index, layer, inputs):
        result = output(self, index, layer, inputs)
        assert result.shape[1] == layer.channels_out
        assert result.shape[2] == result.shape[3]
        seen[index] = result.shape[3]
        return result

    with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
        patch.setattr(Crayon, "_output", record)
        Crayon().layers(torch.empty(1, 1, 320, 320), torch.empty(1, 2, 320, 320))
    return seen


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_row(row, crayon, widths):
    index = int(row[0])
    layer = crayon.table[index]
    assert NAMES[layer.operation] == row[1]
    assert widths[index] == int(row[3])
    assert layer.channels_out == int(row[5])
    if row[1] == "Input":
        return
    assert list(layer.sources) == [int(source) for source in row[10].split(",")]
    assert {widths[source] for source in layer.sources} == {int(row[2])}
    assert layer.channels_in == int(row[4])
    geometry = (layer.kernel, layer.stride, layer.padding, layer.dilation)
    assert geometry == tuple(0 if value == "-" else int(value) for value in row[6:10])
    if row[1] in ("Conv", "Transposed"):
        module = crayon.weights[str(index)]
        assert isinstance(module, nn.Conv2d if row[1] == "Conv" else nn.ConvTranspose2d)
        assert (module.in_channels, module.out_channels) == (int(row[4]), int(row[5]))
        assert [module.kernel_size, module.stride, module.padding, module.dilation] == [
            (int(value),) * 2 for value in row[6:10]
        ]


def test_outputs_are_those_of_the_tables_read_literally(crayon):
    """The rows above, executed by eight lines of their own, give what the module gives."""
    lightness, sparse = torch.rand(1, 1, 24, 32), torch.rand(1, 2, 24, 32)
    out = [lightness, sparse]
    with torch.inference_mode():
        for row in ROWS[2:]:
            inputs = [out[int(source)] for source in row[10].split(",")]
            weights = dict(crayon.weights.items()).get(row[0])
            out.append({
                "Conv": lambda x, w=weights, r=row: F.conv2d(
                    torch.cat(x, 1), w.weight, w.bias, int(r[7]), int(r[8]), int(r[9])),
                "Transposed": lambda x, w=weights: F.conv_transpose2d(x[0], w.weight, w.bias, 2),
                "ReLU": lambda x: x[0].clamp(min=0),
                "Pool": lambda x: F.max_pool2d(x[0], 2),
                "Concat": lambda x: torch.cat(x, 1),
                "Add": sum,
            }[row[1]](inputs))  # fmt: skip
        assert torch.allclose(crayon.layers(lightness, sparse), out[-1], atol=1e-6)


def test_size(crayon):
    assert len(crayon.table) == len(ROWS) == 80
    assert sum(parameter.numel() for parameter in crayon.parameters()) == 24_109_572
    assert macs_per_pixel(crayon) == 1_350_912


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (17, 8)])
def test_any_picture_size(crayon, shape):
    with torch.inference_mode():
        ab = crayon(torch.rand(1, 1, *shape) * 100, torch.zeros(1, 2, *shape))
    assert ab.shape == (1, 2, *shape)
    assert np.isfinite(ab.numpy()).all()
