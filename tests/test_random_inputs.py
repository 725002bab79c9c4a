"""Random inputs: a sentence of ours, or a result that is right, and for the mean exactly numpy's."""

import warnings

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image

from napari_gifnet import enhance, fuse
from napari_gifnet.errors import GIFNetError
from napari_gifnet.viewer import enhance_layer, fuse_layers

LUMA = np.array([0.299, 0.587, 0.114])
DTYPES = ("u1", "u2", "i2", "i4", "u8", "?", "f2", "f4", "f8", ">u2", ">f4")
POLICIES = ("auto", "dtype", "minmax", "percentile", (0, 1), (-3.5, 900), "layer", (2, 1), None, 7)
TASKS = (None, None, "infrared_visible", "multi_focus", "multi_exposure", "pansharpening", "sewing")
COLORS = ("auto", "gray", "a", "b", "displayed", "puce")
RESULTS = (None, None, "f4", "f8", "f2", "u1", "u2", "i2", "c8", "S3")

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:Non-orthogonal")


def one_of(rng, choices):
    return choices[rng.integers(len(choices))]


def random_image(rng, sides, like=None):
    """An image of random dimensions, dtype and values; sometimes with holes, sometimes none at all.

    It mostly has the leading axes of the one that it is to go with.
    """
    leading = tuple(rng.integers(1, 4, rng.choice([0, 0, 1, 2])))
    if hasattr(like, "ndim") and rng.random() < 0.9:
        in_color = like.ndim >= 3 and like.shape[-1] in (3, 4)
        leading = like.shape[: max(like.ndim - 2 - in_color, 0)]
    channels = one_of(rng, [()] * 12 + [(3,), (3,), (4,), (2,)])
    shape = (*leading, *sides, *channels)
    dtype = np.dtype(one_of(rng, DTYPES))
    values = rng.random(shape) * 10 ** rng.uniform(-3, 4) - rng.choice([0, 0, 0.3])
    if dtype.kind == "f":
        image = values.astype(dtype)
        if rng.random() < 0.3:
            image[rng.random(shape) < rng.choice([0.02, 0.5, 1])] = rng.choice([np.nan, np.inf])
    elif dtype.kind == "b":
        image = values > np.median(values)
    else:
        info = np.iinfo(dtype)
        image = np.clip(values, float(info.min), min(float(info.max), 2.0**62)).astype(dtype)
    kind = rng.random()
    if kind < 0.1:
        return np.ma.array(image, mask=rng.random(shape) < 0.1)
    if kind < 0.15:
        return da.from_array(image)
    if kind < 0.18:
        return one_of(
            rng, ["scan.tif", None, image.astype(complex), image.astype(object), image[0]]
        )
    return image


def limits_of(image, policy):
    """The values that become 0 and 1, in float64; None where the policy is no policy."""
    if isinstance(policy, tuple):
        return policy
    values = np.ma.masked_invalid(image).compressed().astype(float)
    kind, dtype = image.dtype.kind, image.dtype
    if policy == "dtype" or (policy == "auto" and (kind == "b" or dtype == np.uint8)):
        return (np.iinfo(dtype).min, np.iinfo(dtype).max) if kind in "iu" else (0, 1)
    low, high = values.min(), values.max()
    if policy == "auto" and kind == "f" and low >= 0 and high <= 1:
        return 0, 1
    if policy == "percentile":
        inner = np.percentile(values, (0.1, 99.9))
        low, high = inner if inner[0] < inner[1] else (low, high)
    return low, high


def unit_luma(image, limits, in_color):
    low, high = map(float, limits)
    values = np.ma.filled(image.astype(float), np.nan)
    unit = np.clip((values - low) / ((high - low) or 1), 0, 1)
    unit[~np.isfinite(values)] = np.nan
    return unit[..., :3] @ LUMA if in_color else unit


def as_numpy(image):
    return image.compute() if isinstance(image, da.Array) else image


def expected_mean(images, policies, task):
    """The mean in float64, of luma."""
    images = [as_numpy(image) for image in images]
    colors = [image.ndim >= 3 and image.shape[-1] in (3, 4) for image in images]
    limits = [
        limits_of(image[..., :3] if color else image, policy)
        for image, policy, color in zip(images, policies, colors, strict=True)
    ]
    if task in ("multi_focus", "multi_exposure") and images[0].dtype == images[-1].dtype:
        limits = [(min(x[0] for x in limits), max(x[1] for x in limits))] * len(limits)
    lumas = [unit_luma(*each) for each in zip(images, limits, colors, strict=True)]
    return sum(np.broadcast_arrays(*lumas)) / len(lumas)


def check(result, images, options):
    """What holds of every result, whatever the method."""
    result = as_numpy(result)
    wanted = np.dtype(options.get("dtype") or "f4")
    assert result.dtype == wanted
    leads, colors = [], []
    for image in map(as_numpy, images):
        in_color = image.ndim >= 3 and image.shape[-1] in (3, 4)
        colors.append(in_color)
        leads.append(image.shape[: -3 if in_color else -2])
        sides = image.shape[len(leads[-1]) :][:2]
    assert result.shape[: len(np.broadcast_shapes(*leads)) + 2] == (
        *np.broadcast_shapes(*leads),
        *sides,
    )
    assert result.shape[len(np.broadcast_shapes(*leads)) + 2 :] in ((), (3,))
    finite = result[np.isfinite(result)] if wanted.kind == "f" else result
    assert not np.isinf(result.astype(float)).any()
    top = 1 if wanted.kind == "f" else np.iinfo(wanted).max
    assert (finite >= 0).all()
    assert (finite <= top).all()
    return result


def compared(result, images, policies, options, name):
    """Compare a gray mean with numpy's; True if it was compared."""
    if options["model"] != "mean" or result.ndim != max(
        as_numpy(i).ndim - (as_numpy(i).ndim >= 3 and as_numpy(i).shape[-1] in (3, 4))
        for i in images
    ):
        return False
    if options.get("task") == "pansharpening":
        return False
    expected = expected_mean(images, policies, options.get("task"))
    if result.dtype.kind == "f":
        np.testing.assert_array_equal(np.isnan(result), np.isnan(expected), err_msg=name)
        tolerance = 1e-3 if result.dtype.itemsize == 2 else 1e-5
        np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance, err_msg=name)
    else:
        top = np.iinfo(result.dtype).max
        scaled = np.nan_to_num(expected, nan=0) * top
        np.testing.assert_allclose(result, scaled, rtol=0, atol=0.5 + 1e-5 * top, err_msg=name)
    return True


def random_options(rng, model):
    options = {"model": "mean", "intensity": one_of(rng, POLICIES), "color": "gray"}
    if rng.random() < 0.6:  # sensible ones, so that most come through
        options["intensity"] = one_of(rng, POLICIES[:6])
    if rng.random() < 0.2:
        options["model"] = one_of(rng, ["maximum", "pyramid", model, model, "no-such"])
    if rng.random() < 0.3:
        options["color"] = one_of(rng, COLORS)
    if rng.random() < 0.3:
        options["dtype"] = one_of(rng, RESULTS)
    if rng.random() < 0.1:
        options["normalization"] = one_of(rng, ["plane", "stack", "image"])
    return options


def tally(make, images, policies, options, name):
    """Return 1 if the result was compared with numpy's, 0 if it is right otherwise, or refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "overflow|invalid value", RuntimeWarning)
            result = check(make(*images, **options), images, options)
    except GIFNetError as error:
        refused = str(error)
    else:
        return compared(result, images, policies, options, name)
    assert len(refused) > 20, name
    assert not refused.endswith(".."), name
    return 0


def test_a_thousand_pairs(random_model):
    rng = np.random.default_rng(1)
    right = 0
    for case in range(1000):
        sides = tuple(rng.integers(5, 49, 2)) if rng.random() < 0.95 else (4, 9)
        images = [random_image(rng, sides)]
        images.append(random_image(rng, sides, images[0]))
        if rng.random() < 0.05:
            images[1] = random_image(rng, tuple(rng.integers(5, 49, 2)))
        options = random_options(rng, random_model)
        options["task"] = one_of(rng, TASKS)
        policies = (options["intensity"],) * 2
        right += tally(fuse, images, policies, options, f"case {case}: {options}")
    assert right > 200


def test_a_thousand_images(random_model):
    rng = np.random.default_rng(2)
    right = 0
    for case in range(1000):
        sides = tuple(rng.integers(5, 49, 2)) if rng.random() < 0.95 else (9, 3)
        images = [random_image(rng, sides)]
        options = random_options(rng, random_model)
        policies = (options["intensity"],)
        right += tally(enhance, images, policies, options, f"case {case}: {options}")
    assert right > 200


def random_layer(rng, sides, name, like=None):
    image = random_image(rng, sides, like)
    while not hasattr(image, "dtype") or image.dtype.kind not in "buif" or image.ndim < 2:
        image = random_image(rng, sides, like)
    rgb = bool(image.ndim >= 3 and image.shape[-1] in (3, 4) and image.dtype.kind == "u")
    ndim = image.ndim - rgb
    kwargs = {}
    if rng.random() < 0.3:
        kwargs["scale"] = rng.uniform(0.5, 2, ndim)
        kwargs["translate"] = rng.uniform(-3, 3, ndim)
    if rng.random() < 0.2:
        kwargs["units"] = one_of(rng, ["mm", "um"])
    return Image(image, name=name, rgb=rgb, contrast_limits=None if rgb else (0, 1), **kwargs)


def same_place(a, b):
    """Whether two layers lie pixel on pixel, without a doubt."""
    moved = any((layer.scale != 1).any() or layer.translate.any() for layer in (a, b))
    return not moved and a.units == b.units and (a.data.shape[: a.ndim] == b.data.shape[: b.ndim])


def test_five_hundred_pairs_of_layers(random_model):
    rng = np.random.default_rng(3)
    results = right = 0
    refusals = []
    for case in range(500):
        sides = tuple(rng.integers(5, 49, 2))
        layers = [random_layer(rng, sides, "A")]
        layers.append(random_layer(rng, sides, "B", layers[0].data))
        options = random_options(rng, random_model) | {"task": one_of(rng, TASKS)}
        options.pop("dtype", None)
        options["extent"] = one_of(rng, ["all"] * 6 + ["slice", "half", np.s_[1:9, 2:8]])
        options["grid"] = one_of(rng, ["auto", "auto", "a", "b", "finer", "c"])
        try:
            if rng.random() < 0.2:
                for name in ("task", "grid"):
                    options.pop(name)
                made_of = layers[:1]
                result = enhance_layer(*made_of, **options)
            else:
                made_of = layers
                result = fuse_layers(*made_of, **options)
        except GIFNetError as error:
            refusals.append(str(error))
            continue
        data = np.asarray(result.data)
        assert data.dtype == np.float32
        finite = data[np.isfinite(data)]
        assert finite.size, case
        assert (finite >= 0).all(), case
        assert (finite <= 1).all(), case
        results += 1
        if len(made_of) == 2 and options["extent"] == "all" and same_place(*layers):
            policies = [
                ("dtype" if layer.rgb else (0, 1))
                if options["intensity"] == "layer"
                else options["intensity"]
                for layer in layers
            ]
            images = [np.ma.asanyarray(as_numpy(layer.data)) for layer in layers]
            right += compared(data, images, policies, options, f"case {case}: {options}")
    assert results > 120
    assert all(len(sentence) > 20 for sentence in refusals)
    assert right > 20
