"""A head in MRI and PET, built on the ICBM 152 tissue maps.

World coordinates are DICOM's: millimetres towards the patient's left (x), back (y) and top (z),
in the order (z, y, x) of the arrays' axes. Anatomy is placed in the template's coordinates (MNI:
right, front, top), which a random smooth warp, a tilt and a scaling carry into the world.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Array = NDArray[np.float32]

MRI_SHAPE = (142, 208, 168)
MRI_ORIGIN = (-51.0, -92.0, -85.0)
PET_SHAPE = (61, 88, 74)
PET_SPACING = 2.5
PET_ORIGIN = (-54.8, -98.9, -93.4)
PET_UNIT = "SUV/100"
GREY_UPTAKE = 550  # in PET_UNIT
BRAIN_SCALE = 0.865  # the template is larger than most heads

# T1-weighted signal of each tissue, 0 to 255
CSF, GREY, WHITE = 34, 116, 186
BONE, MARROW, FAT, SKIN, MUSCLE, VITREOUS, MUCOSA, DURA = 12, 150, 222, 120, 88, 36, 112, 70


@dataclass(frozen=True)
class Lesion:
    """A sphere of high uptake; `mni` is (right, front, top) in millimetres."""

    name: str
    mni: tuple[float, float, float]
    diameter: float
    uptake: float


LESIONS = (
    Lesion("right frontal", (27.0, 36.0, 16.0), 12.0, 2.3),
    Lesion("left precentral", (-33.0, -10.0, 44.0), 10.0, 2.6),
)


@dataclass(frozen=True)
class Head:
    """What the scanners see: signal and uptake on the 1 mm grid, and where the lesions are."""

    signal: Array
    uptake: Array
    lesions: dict[str, tuple[float, float, float]]


def read_template(path: Path) -> NDArray[np.uint8]:
    """Read an uncompressed-header NIfTI-1 file of bytes, (right, front, top)."""
    raw = gzip.decompress(path.read_bytes())
    shape = tuple(np.frombuffer(raw, "<i2", 3, offset=42))
    return np.frombuffer(raw, np.uint8, offset=352).reshape(shape, order="F")


def smooth_noise(rng: np.random.Generator, sigma: float, shape: tuple[int, ...]) -> Array:
    """Noise of unit variance with a Gaussian spectrum."""
    noise = ndi.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return (noise - noise.mean()) / noise.std()


def inside(distance: Array, edge: float = 0.6) -> Array:
    """Partial volume of a region from the signed distance to it, negative inside."""
    return 1 / (1 + np.exp(np.clip(distance / (edge / 2), -30, 30)))


def template_coordinates(rng: np.random.Generator) -> Array:
    """The template's coordinates (right, front, top) in millimetres at each voxel of the MRI."""
    z, y, x = np.meshgrid(
        *(o + np.arange(n, dtype=np.float32) for o, n in zip(MRI_ORIGIN, MRI_SHAPE, strict=True)),
        indexing="ij",
    )
    mni = np.stack([-x, -y, z]) / BRAIN_SCALE
    pitch, yaw, roll = np.deg2rad([4.0, -2.0, 1.5])
    turn = (
        np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        @ np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        @ np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    )
    mni = np.einsum("ij,j...->i...", turn.astype(np.float32), mni)
    for axis in range(3):
        mni[axis] += 2.3 * smooth_noise(rng, 26, MRI_SHAPE) + 0.8 * smooth_noise(rng, 7, MRI_SHAPE)
    return mni


def sample(template: Array, mni: Array) -> Array:
    """The template at the given coordinates."""
    index = mni + np.array([98, 134, 72], np.float32).reshape(3, 1, 1, 1)
    return ndi.map_coordinates(template, index, order=1, mode="constant")


def build_head(sources: Path, rng: np.random.Generator) -> Head:
    """Put the head together from the three ICBM 152 maps in the folder `sources`."""
    t1, grey, white = (
        read_template(sources / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        for name in ("t1", "gm", "wm")
    )
    mni = template_coordinates(rng)
    right, front, top = mni

    brain_mask = ndi.gaussian_filter((t1 > 0).astype(np.float32), 0.8)
    filled = np.where(t1 > 0, t1, 70).astype(np.float32)
    crisp = filled + 0.9 * (filled - ndi.gaussian_filter(filled, 1.6))
    levels = [20, 75, 163, 224, 260], [20, CSF + 8, GREY, WHITE, 210]
    brain_t1 = sample(np.interp(crisp, *levels).astype(np.float32), mni)
    brain = sample(brain_mask, mni)
    grey, white = (sample(m.astype(np.float32) / 255, mni) for m in (grey, white))

    # -- shells around the brain, by the distance to its closed hull
    solid = brain > 0.5
    padded = np.pad(solid, ((40, 30), (30, 30), (30, 30)))
    padded[:40] = padded[40]
    grown = ndi.distance_transform_edt(~padded) <= 16
    hull = (ndi.distance_transform_edt(grown) > 16)[40:-30, 30:-30, 30:-30]
    distance = (ndi.distance_transform_edt(~hull) - ndi.distance_transform_edt(hull)).astype(
        np.float32
    )
    distance = ndi.gaussian_filter(distance, 2.0)
    base = 1 / (1 + np.exp((top + 30 + 0.25 * front) / 5))  # 1 below the skull's base
    vault = 1 - base

    inner = 1.8 + 0.4 * smooth_noise(rng, 9, MRI_SHAPE)
    table = 6.2 + 1.0 * smooth_noise(rng, 14, MRI_SHAPE) + 1.8 * inside(front + 70, 40)
    outer = inner + table
    temporalis = 9 * np.exp(-(((front - 22) / 26) ** 2) - (((top + 14) / 28) ** 2))
    temporalis *= inside(46 - np.abs(right), 16)
    scalp = outer + 5.5 + 0.9 * smooth_noise(rng, 16, MRI_SHAPE) + 2.0 * inside(front + 60, 30)

    # -- the head's surface: the vault, and a face and a neck beneath it
    face = np.sqrt((right / 66) ** 2 + ((front - 28) / 64) ** 2 + ((top + 62) / 62) ** 2) * 64 - 64
    neck = np.sqrt((right / 58) ** 2 + ((front + 45) / 52) ** 2) * 55 - 55
    neck = np.maximum(neck, top + 34)
    nose = np.sqrt((right / 13) ** 2 + ((front - 88) / 17) ** 2 + ((top + 62) / 26) ** 2) * 15 - 15
    surface = smooth_minimum(distance - scalp - temporalis, face, 8)
    surface = smooth_minimum(smooth_minimum(surface, neck, 8), nose, 6)

    # -- soft tissue: skin over fat over muscle, marbled
    marble = smooth_noise(rng, 2.2, MRI_SHAPE) + 0.8 * smooth_noise(rng, 5, MRI_SHAPE)
    flesh = MUSCLE + (FAT - MUSCLE) * inside(0.75 - marble, 0.7) * 0.85
    fat_depth = 4.2 + 1.2 * smooth_noise(rng, 12, MRI_SHAPE)
    layer = inside(-surface - fat_depth, 0.9)
    signal = layer * (FAT - 14) + (1 - layer) * flesh
    muscle = inside(distance - outer - temporalis, 1.0) * inside(1.0 - temporalis, 0.8)
    signal = blend(signal, MUSCLE + 5 * marble, muscle)
    signal = blend(signal, SKIN, inside(-surface - 1.5, 1.0))
    uptake = 0.10 + 0.10 * inside(signal - 140, 30)

    # -- skull: two dark tables around bright marrow; cells of air near the ears and the nose
    bone = inside(distance - outer, 0.9) * np.maximum(vault, inside(distance - inner - 2.6, 1.0))
    depth = (distance - inner) / table
    grain = MARROW + 22 * smooth_noise(rng, 2.0, MRI_SHAPE)
    diploe = inside(np.abs(depth - 0.5) - 0.24, 0.16) * vault
    signal = blend(signal, BONE + diploe * (grain - BONE), bone)
    uptake = blend(uptake, 0.04 + 0.12 * diploe, bone)
    mastoid = ellipsoid(np.abs(right), front, top, (56, -26, -42), (13, 15, 17))
    cells = inside(0.35 - smooth_noise(rng, 1.7, MRI_SHAPE), 0.7)
    outside_brain = 1 - inside(distance - inner, 0.8)
    signal = blend(signal, BONE + 70 * cells, inside(mastoid, 3) * outside_brain)

    signal, uptake = add_orbits(signal, uptake, mni, outside_brain)
    signal, uptake = add_airways(signal, uptake, mni, outside_brain, cells)

    # -- inside the skull: dura, fluid, brain
    within = inside(distance - inner, 0.9)
    signal = blend(signal, DURA, inside(np.abs(distance - inner + 0.3) - 0.5, 0.8))
    signal = blend(signal, CSF, inside(distance - inner + 0.9, 0.9))
    signal = blend(signal, brain_t1, brain)
    uptake = blend(uptake, 0.05, within)
    uptake = blend(uptake, metabolism(grey, white, mni), brain)

    places = {}
    texture = smooth_noise(rng, 3.0, MRI_SHAPE)
    for lesion in LESIONS:
        index = nearest(mni, lesion.mni)
        places[lesion.name] = tuple(float(o + i) for o, i in zip(MRI_ORIGIN, index, strict=True))
        radius = distance_from(index) - lesion.diameter / 2
        oedema = inside(radius - 5 - 2.5 * texture, 4.0) * white
        signal = blend(signal, 138, 0.85 * oedema)
        uptake = blend(uptake, 0.20, 0.7 * oedema)
        signal = blend(signal, 104 + 10 * texture, inside(radius, 1.0))
        uptake = blend(uptake, lesion.uptake, inside(radius, 0.6))

    head = inside(surface, 0.8)
    return Head((signal * head).astype(np.float32), (uptake * head).astype(np.float32), places)


def metabolism(grey: Array, white: Array, mni: Array) -> Array:
    """Uptake of glucose relative to average cortex."""
    right, front, top = mni
    side = np.abs(right)
    regional = (
        1
        + 0.28 * blob((side, front, top), (9, -84, 4), (16, 20, 16))  # visual cortex
        + 0.10 * blob((side, front, top), (6, -56, 26), (12, 16, 16))  # precuneus
        + 0.08 * blob((side, front, top), (40, 30, 28), (18, 18, 18))
        - 0.14 * inside(top + 22 + 0.3 * (front + 60), 8) * inside(front + 28, 8)  # cerebellum
        - 0.12 * blob((side, front, top), (24, -12, -22), (14, 18, 10))  # medial temporal
        - 0.55 * blob((right, front, top), (-50, -50, 26), (22, 24, 24))  # the hypometabolic region
    )
    nuclei = (
        blob((side, front, top), (13, 12, 8), (6, 11, 9))  # caudate
        + blob((side, front, top), (26, 3, 1), (6, 15, 9))  # putamen
        + 0.85 * blob((side, front, top), (11, -18, 7), (9, 13, 9))  # thalamus
    )
    deep = np.clip(nuclei, 0, 1) * np.clip(grey + 0.35 * white, 0, 1)
    return np.maximum(regional * grey, 1.18 * deep) + 0.27 * white + 0.04 * (1 - grey - white)


def add_orbits(signal: Array, uptake: Array, mni: Array, where: Array) -> tuple[Array, Array]:
    """Eyes with their lenses, muscles and nerves in the fat of the orbits."""
    right, front, top = mni
    side = np.abs(right)
    along = front - 61
    lean = 33 + 0.42 * np.minimum(along, 0)  # the orbit's axis runs inwards
    ring = np.hypot(side - lean, top + 37)
    cone = ring - np.interp(along, [-42, -14, 4, 12], [3, 15, 17, 14]).astype(np.float32)
    cone = np.maximum(cone, np.abs(along + 16) - 28)
    signal = blend(signal, BONE + 6, inside(cone - 2.2, 1.2) * where)
    signal = blend(signal, FAT, inside(cone, 1.0) * where)
    uptake = blend(uptake, 0.08, inside(cone, 1.0) * where)
    muscles = np.abs(ring - np.interp(along, [-38, -12, 0], [3.5, 10.5, 13.2])) - 1.5
    angle = np.arctan2(top + 37, side - lean)
    muscles = np.maximum(muscles, (np.abs(np.sin(2 * angle)) - 0.5) * ring)
    muscles = np.maximum(muscles, np.abs(along + 20) - 20)
    signal = blend(signal, MUSCLE + 10, inside(muscles, 1.0) * where)
    uptake = blend(uptake, 0.55, inside(muscles, 1.0) * where)
    nerve = np.maximum(ring - 2.1, np.abs(along + 26) - 16)
    signal = blend(signal, GREY, inside(nerve, 1.0) * where)
    globe = np.sqrt((side - 33) ** 2 + along**2 + (top + 37) ** 2) - 12.2
    signal = blend(signal, MUCOSA, inside(globe, 0.8) * where)
    signal = blend(signal, VITREOUS, inside(globe + 1.5, 0.8) * where)
    uptake = blend(uptake, 0.05, inside(globe, 1.0) * where)
    lens = ellipsoid(side, front, top, (33, 69.0, -37), (4.6, 2.1, 4.6))
    return blend(signal, 96, inside(lens, 0.8) * where), uptake


def add_airways(
    signal: Array, uptake: Array, mni: Array, where: Array, cells: Array
) -> tuple[Array, Array]:
    """Nasal cavity, sinuses and ear canals: air, walls and mucosa."""
    right, front, top = mni
    side = np.abs(right)
    ethmoid = ellipsoid(side, front, top, (7, 46, -34), (9, 24, 13))
    signal = blend(signal, 8 + 75 * cells, inside(ethmoid, 2) * where)
    nasal = ellipsoid(side, front, top, (6, 52, -58), (11, 34, 17))
    signal = blend(signal, MUCOSA, inside(nasal, 2) * where)
    uptake = blend(uptake, 0.3, inside(nasal, 2) * where)
    turbinates = side + 2.6 * ndi.gaussian_filter(cells, 2.5) * np.sin(top * 0.45)
    passage = np.abs(np.sin(0.55 * turbinates)) - 0.38
    signal = blend(signal, 4, inside(np.maximum(nasal + 2, passage * 6), 1) * where)
    septum = np.maximum(np.abs(right) - 1.1, nasal)
    signal = blend(signal, MUCOSA - 20, inside(septum, 1) * where)
    for centre, radii in (
        ((33, 44, -62), (14, 18, 14)),  # maxillary
        ((8, 19, -40), (9, 10, 8)),  # sphenoid
        ((10, 78, -12), (11, 4, 12)),  # frontal
    ):
        sinus = ellipsoid(side, front, top, centre, radii)
        signal = blend(signal, MUCOSA - 25, inside(sinus, 1) * where)
        signal = blend(signal, 4, inside(sinus + 1.3, 1) * where)
        uptake = blend(uptake, 0.05, inside(sinus, 1) * where)
    canal = np.maximum(np.hypot(front + 22, top + 42) - 3.2, 58 - side)
    return blend(signal, 4, inside(canal, 1) * where), uptake


def blend(under: Array, over: Array | float, weight: Array) -> Array:
    return under + weight * (over - under)


def blob(at: tuple[Array, ...], centre: tuple[float, ...], radii: tuple[float, ...]) -> Array:
    """A Gaussian bump whose flanks fall to a half at `radii`."""
    squares = sum(((a - c) / r) ** 2 for a, c, r in zip(at, centre, radii, strict=True))
    return np.exp(-np.log(2) * squares)


def ellipsoid(
    right: Array, front: Array, top: Array, centre: tuple[float, ...], radii: tuple[float, ...]
) -> Array:
    """About the signed distance to an ellipsoid."""
    at = zip((right, front, top), centre, radii, strict=True)
    return (np.sqrt(sum(((a - c) / r) ** 2 for a, c, r in at)) - 1) * min(radii)


def smooth_minimum(a: Array, b: Array, width: float) -> Array:
    """The union of two signed distances, with a fillet."""
    mix = np.clip(0.5 + 0.5 * (b - a) / width, 0, 1)
    return b + mix * (a - b) - width * mix * (1 - mix)


def nearest(mni: Array, place: tuple[float, float, float]) -> tuple[int, ...]:
    away = ((mni - np.reshape(place, (3, 1, 1, 1))) ** 2).sum(0)
    return np.unravel_index(away.argmin(), away.shape)


def distance_from(index: tuple[int, ...]) -> Array:
    grid = np.ogrid[tuple(slice(n) for n in MRI_SHAPE)]
    return np.sqrt(sum((g - i) ** 2 for g, i in zip(grid, index, strict=True))).astype(np.float32)


def scan_mri(head: Head, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A T1-weighted scan at 1 mm: coil shading, Rician noise, the air around the head blanked."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in MRI_SHAPE), indexing="ij")
    z, y, x = grid
    shading = 1 + 0.09 * y - 0.05 * x + 0.06 * z * x - 0.10 * (x**2 + y**2 + z**2 - 1) / 2
    signal = ndi.gaussian_filter(head.signal, 0.55) * shading
    real, imaginary = rng.normal(0, 1.4, (2, *MRI_SHAPE)).astype(np.float32)
    scan = np.hypot(signal + real, imaginary)
    near_head = ndi.binary_dilation(head.signal > 6, iterations=2)
    near_head = ndi.binary_fill_holes(near_head)
    return np.clip(np.rint(scan * near_head), 0, 255).astype(np.uint8)


def scan_pet(head: Head, rng: np.random.Generator) -> NDArray[np.uint16]:
    """An FDG scan at 2.5 mm: 6 mm of blur (FWHM) in all, and the noise of counting."""
    fwhm = 2 * np.sqrt(2 * np.log(2))
    detector, filtered = 4.5, np.sqrt(6.0**2 - 4.5**2)
    seen = ndi.gaussian_filter(head.uptake, detector / fwhm)
    axes = [
        (origin + PET_SPACING * np.arange(count) - mri)
        for origin, count, mri in zip(PET_ORIGIN, PET_SHAPE, MRI_ORIGIN, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    seen = np.clip(ndi.map_coordinates(seen, grid, order=1, mode="nearest"), 0, None)
    counts_per_grey = 45.0
    counts = rng.poisson(counts_per_grey * seen + 0.25)
    image = ndi.gaussian_filter(counts / counts_per_grey, filtered / fwhm / PET_SPACING)
    return np.rint(GREY_UPTAKE * image).astype(np.uint16)
