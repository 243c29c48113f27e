"""Weights as numbers: what rounding keeps, and what the bias puts right."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.precision.network import Network
from edgeseg.precision.weights import LEAST_HALF_SCALE, Quantized, quantize_layer


def layer(
    weight: Any, bias: Any = None, *, kind: str = "Conv", **attributes: Any
) -> tuple[Network, onnx.NodeProto]:
    """A network of one layer."""
    constants = {"w": np.asarray(weight, np.float32)}
    if bias is not None:
        constants["b"] = np.asarray(bias, np.float32)
    node = helper.make_node(kind, ["x", *constants], ["y"], name="layer", **attributes)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y], stored))
    return Network(model), node


def answer(found: Quantized, channels: Any, groups: int = 1) -> Any:
    """What the quantised convolution gives for an area of one value per channel, by hand."""
    weight = found.rounded.astype(np.float64)
    out, each = weight.shape[:2]
    values = np.zeros(out)
    for o in range(out):
        group = o // (out // groups)
        for i in range(each):
            values[o] += weight[o, i].sum() * channels[group * each + i]
    return values + (0 if found.bias is None else found.bias)


def test_scales_are_each_channels_own() -> None:
    weight = np.array([[1.0, -2.0], [0.01, 0.0051], [0, 0]]).reshape(3, 2, 1, 1)
    found = quantize_layer(*layer(weight), None)
    np.testing.assert_allclose(found.scales, [2 / 127, 0.01 / 127, 1], rtol=1e-6)
    assert found.numbers.ravel().tolist() == [64, -127, 127, 65, 0, 0]
    np.testing.assert_allclose(found.rounded, weight, atol=0.5 * 2 / 127)
    assert found.bias is None


def test_one_scale_for_all_where_asked() -> None:
    found = quantize_layer(*layer([[1.0, 0.5], [4, 2]], kind="MatMul"), None, by_channel=False)
    assert set(found.scales.tolist()) == {np.float32(4 / 127)}
    assert found.axis == 1


def test_the_sum_of_each_kernel_stays() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (40, 3, 3, 3)).astype(np.float32)
    found = quantize_layer(*layer(weight), None)
    scales = found.scales[:, None]
    sums, plain = (
        np.abs((numbers * scales[..., None, None] - weight).sum(axis=(2, 3))) / scales
        for numbers in (found.numbers, np.rint(weight / scales[..., None, None]))
    )
    assert sums.max() <= 0.5 + 1e-3
    assert plain.max() > 1, "the plain rounding that this is better than"
    assert np.abs(found.numbers - weight / scales[..., None, None]).max() < 1.01


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_on_average_the_layer_answers_as_before(groups: int) -> None:
    rng = np.random.default_rng(groups)
    weight = rng.normal(0, 1, (12, 6 // groups, 3, 3))
    bias, means = rng.normal(0, 1, 12), rng.uniform(0, 5, 6)
    exact = answer(
        Quantized(np.ones((12, 6 // groups, 3, 3), np.int8), np.ones(12, np.float32), 0, None),
        np.zeros(6),
        groups,
    )
    for o in range(12):
        group = o // (12 // groups)
        each = 6 // groups
        exact[o] = bias[o] + sum(weight[o, i].sum() * means[group * each + i] for i in range(each))
    network, node = layer(weight, bias, group=groups)
    corrected = answer(quantize_layer(network, node, means.tolist()), means, groups)
    np.testing.assert_allclose(corrected, exact, atol=1e-4)
    uncorrected = answer(quantize_layer(network, node, None), means, groups)
    assert np.abs(uncorrected - exact).max() > 1e-2


def test_a_bias_is_made_where_the_rounding_needs_one() -> None:
    weight = np.array([0.3, 1.0]).reshape(1, 2, 1, 1)
    found = quantize_layer(*layer(weight), [10.0, 0.0])
    assert found.bias is not None
    np.testing.assert_allclose(found.bias, 10 * 0.3 - 10 * 38 / 127, atol=1e-5)


def test_what_moves_out_of_the_input_moves_into_the_bias() -> None:
    weight = np.full((2, 3, 3, 3), 0.5)
    found = quantize_layer(*layer(weight, [1.0, 2.0]), None, moved=np.array([0.5]))
    assert found.bias is not None
    np.testing.assert_allclose(found.bias, [1 + 27 * 0.25, 2 + 27 * 0.25], rtol=1e-6)
    each = quantize_layer(*layer(weight, [1.0, 2.0]), None, moved=np.array([0.0, 1.0, 2.0]))
    assert each.bias is not None
    np.testing.assert_allclose(each.bias, [1 + 9 * 1.5, 2 + 9 * 1.5], rtol=1e-6)


def test_a_bias_too_large_for_int32_widens_its_channels_scale() -> None:
    weight = np.array([1e-9, 1.0]).reshape(2, 1, 1, 1)
    found = quantize_layer(*layer(weight, [5.0, 5.0]), None, input_scale=0.02)
    assert found.bias is not None
    assert np.abs(found.bias / (found.scales * 0.02)).max() <= 2**30 * 1.001
    assert found.scales[1] == np.float32(1 / 127)


def test_half_scales_are_normal_float16_numbers() -> None:
    weight = np.array([1e-9, 0.333, 3.0]).reshape(3, 1, 1, 1)
    scales = quantize_layer(*layer(weight), None, half=True).scales
    assert scales[0] == LEAST_HALF_SCALE
    np.testing.assert_array_equal(scales, scales.astype(np.float16).astype(np.float32))


def test_transposed_convolutions_have_their_channels_on_the_second_axis() -> None:
    weight = np.stack([np.full((2, 1, 1), v) for v in (1.0, 5.0, 0.1)], axis=1)
    found = quantize_layer(*layer(weight.reshape(2, 3, 1, 1), kind="ConvTranspose"), None)
    assert found.axis == 1
    np.testing.assert_allclose(found.scales, np.array([1, 5, 0.1]) / 127, rtol=1e-6)
