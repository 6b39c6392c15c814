"""The places of the procedural world, as tables: what grows where, in which colours, under which sky.

A theme is data only. Objects are made of up to four parts, solids of revolution or boxes, measured in
units of the world (the eye is 1.0 high); `training.renderer` packs them into tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

PARTS = 4  # parts an object may have


@dataclass(frozen=True)
class Part:
    """One solid: `shape` is cylinder, cone, ellipsoid, box or gable; it spans heights `y0` to `y1`.

    `r` is the horizontal radius (half the width of a box or gable, whose half depth is `depth` or `r`);
    `at` shifts it from the object's axis. A surface is `colour` mottled with `second` by `mottle` (0 to 1),
    carries snow by `snow` (0 to 1), level stripes by `stripes` (a count per unit) and, where `house` is 1,
    a door and windows (lit from inside by `lamp`, 0 to 1). `facets` (0 to 1) makes it look hewn. An
    ellipsoid's `y0` and `y1` are its poles; what lies below `cut` is left out.
    """

    shape: str
    r: float
    y0: float
    y1: float
    colour: str
    second: str = ""
    mottle: float = 0.25
    at: tuple[float, float] = (0.0, 0.0)
    depth: float = 0.0
    snow: float = 0.0
    stripes: float = 0.0
    house: float = 0.0
    lamp: float = 0.0
    facets: float = 0.0
    cut: float | None = None


@dataclass(frozen=True)
class Kind:
    """One sort of object: its share among a theme's objects, its parts and how much its size varies."""

    share: float
    parts: tuple[Part, ...]
    solid: float  # radius that the camera keeps clear of (plus its own distance)
    size: tuple[float, float] = (0.8, 1.15)


@dataclass(frozen=True)
class Peak:
    """A mountain of the skyline at `azimuth` degrees: height and half width, both as tangents of angles."""

    azimuth: float
    height: float
    width: float


@dataclass(frozen=True)
class Theme:
    name: str
    kinds: tuple[Kind, ...]
    density: float  # share of the lattice's cells that hold an object
    zenith: str
    horizon: str
    cloud: str
    sun: str
    sun_at: tuple[float, float]  # azimuth in degrees, slope above the horizon
    light: str  # multiplies what the sun lights
    shade: str  # multiplies what it does not
    ground: tuple[str, str, str]  # three tones, darkest first
    path: tuple[str, str]
    dots: tuple[str, str]  # flowers or pebbles, in two colours
    far: tuple[str, str]  # far mountains: lit and shaded side
    near: tuple[str, str]
    cap: str  # snow on top, or the strata's second colour
    cap_from: float  # slope above which mountains are capped; above 1: strata instead
    plateau: float  # 1: peaks; larger: flat tops
    far_peaks: tuple[Peak, ...]
    near_peaks: tuple[Peak, ...]
    clouds: float = 0.7  # share of the sky's places for one that hold one
    fog: float = 42.0  # distance at which a thing is two thirds haze
    dot_share: float = 0.5


def ball(r: float, y0: float, y1: float, colour: str, **more) -> Part:
    """A whole ellipsoid between the heights `y0` and `y1`."""
    return Part("ellipsoid", r, y0, y1, colour, **more)


def _peaks(*rows: tuple[float, float, float]) -> tuple[Peak, ...]:
    return tuple(Peak(*row) for row in rows)


_ALPS = _peaks(
    (5, 0.30, 0.36), (38, 0.20, 0.30), (66, 0.25, 0.32), (98, 0.17, 0.34), (131, 0.27, 0.34),
    (160, 0.19, 0.26), (189, 0.23, 0.36), (221, 0.31, 0.36), (252, 0.18, 0.30), (283, 0.25, 0.30),
    (312, 0.17, 0.28), (338, 0.22, 0.30),
)  # fmt: skip
_HILLS = _peaks(
    (20, 0.10, 0.52), (55, 0.06, 0.40), (85, 0.11, 0.50), (118, 0.07, 0.44), (148, 0.12, 0.46),
    (178, 0.07, 0.40), (206, 0.10, 0.50), (238, 0.06, 0.46), (268, 0.12, 0.52), (298, 0.08, 0.40),
    (325, 0.11, 0.44), (352, 0.06, 0.40),
)  # fmt: skip
_MESAS = _peaks(
    (12, 0.19, 0.22), (47, 0.13, 0.16), (84, 0.22, 0.24), (120, 0.12, 0.30), (155, 0.20, 0.17),
    (196, 0.15, 0.26), (230, 0.23, 0.20), (266, 0.12, 0.20), (300, 0.18, 0.28), (336, 0.14, 0.14),
)  # fmt: skip

MEADOW = Theme(
    name="meadow",
    kinds=(
        Kind(0.40, (
            Part("cylinder", 0.17, 0.0, 1.3, "#7a4f32", "#5d3a25", 0.6),
            ball(1.15, 0.95, 2.75, "#4fae3a", second="#2f8a36", mottle=0.8),
            ball(0.80, 2.0, 3.5, "#6cc644", second="#3f9c3a", mottle=0.8, at=(0.2, 0.1)),
        ), 0.8),
        Kind(0.16, (
            Part("cylinder", 0.13, 0.0, 1.0, "#6b4630"),
            Part("cone", 0.95, 0.55, 2.3, "#2c7d46", "#1f6440", 0.6),
            Part("cone", 0.72, 1.55, 3.3, "#35904d", "#257046", 0.6),
        ), 0.75),
        Kind(0.14, (ball(0.85, -0.5, 0.85, "#b4b9c4", second="#9299a8", mottle=0.4, facets=1.0),
                    ball(0.5, -0.3, 0.5, "#bfc4cd", second="#989fae", mottle=0.4,
                         facets=1.0, at=(0.75, 0.3))), 0.9),
        Kind(0.18, (ball(0.7, -0.35, 0.85, "#57b347", second="#2f8f3c", mottle=0.9),
                    ball(0.52, -0.25, 0.65, "#e8567a", second="#57b347", mottle=1.0, at=(0.6, -0.2))), 0.8),
        Kind(0.12, (
            Part("box", 0.85, 0.0, 1.15, "#f3e2c0", "#e3cda4", 0.3, depth=0.75, house=1.0),
            Part("gable", 1.05, 1.1, 2.0, "#d2503c", "#b53e33", 0.5, depth=0.95),
            Part("box", 0.13, 1.2, 2.15, "#a8685a", depth=0.13, at=(0.45, 0.3)),
        ), 1.05, (0.95, 1.15)),
    ),
    density=0.66,
    zenith="#2f86e0", horizon="#bfe6fb", cloud="#ffffff", sun="#fff4c4", sun_at=(48, 0.42),
    light="#fff8e2", shade="#9fb6d8",
    ground=("#5aa53c", "#76bf48", "#93d257"), path=("#dcbf86", "#c8a56c"), dots=("#fff2f6", "#ffd43e"),
    far=("#8fb3dc", "#6f94c6"), near=("#7fb878", "#5c9a72"), cap="#f4fbff", cap_from=0.17, plateau=1.0,
    far_peaks=_ALPS, near_peaks=_HILLS, clouds=0.75,
)  # fmt: skip

DESERT = Theme(
    name="desert",
    kinds=(
        Kind(0.34, (
            ball(0.30, -0.6, 2.3, "#4a9a52", second="#2f7a48", mottle=0.5),
            ball(0.20, 0.65, 1.75, "#55a659", second="#2f7a48", mottle=0.5, at=(0.46, 0.0)),
            ball(0.18, 0.95, 1.9, "#55a659", second="#2f7a48", mottle=0.5, at=(-0.44, 0.0)),
            ball(0.16, 2.2, 2.45, "#ff5f86", mottle=0.0),
        ), 0.55, (0.75, 1.2)),
        Kind(0.24, (ball(1.0, -0.6, 1.05, "#ee9f62", second="#d17c4c", mottle=0.5, facets=1.0, stripes=3.0),
                    ball(0.6, -0.4, 0.6, "#f0a86c", second="#d58552", mottle=0.5,
                         facets=1.0, at=(0.8, 0.45))), 1.0),
        Kind(0.12, (
            Part("cylinder", 0.85, -0.1, 1.3, "#e88f58", "#c96c46", 0.8, stripes=2.6),
            Part("cylinder", 0.6, 1.2, 2.5, "#ee9a62", "#cf7650", 0.8, stripes=2.6, at=(0.1, 0.1)),
        ), 0.95, (0.75, 1.2)),
        Kind(0.14, (
            Part("box", 0.95, 0.0, 1.25, "#f0d6a8", "#dfbd88", 0.4, depth=0.85, house=1.0),
            Part("box", 0.6, 1.2, 1.95, "#f5dfb8", "#dfbd88", 0.4, depth=0.55, at=(-0.2, 0.1)),
            Part("box", 1.02, 1.2, 1.32, "#3f8fa8", depth=0.92, mottle=0.0),
        ), 1.1, (0.9, 1.1)),
        Kind(0.16, (ball(0.55, -0.2, 0.6, "#a9b05a", second="#838f45", mottle=0.9),
                    ball(0.4, -0.1, 0.45, "#b9bd66", second="#8c9549", mottle=0.9, at=(0.5, 0.2))), 0.6),
    ),
    density=0.58,
    zenith="#2c7fc9", horizon="#ffe3bd", cloud="#fff6ea", sun="#fff0b8", sun_at=(-62, 0.36),
    light="#fff2d6", shade="#bb9fac",
    ground=("#e3ae66", "#efc27b", "#f8d695"), path=("#c98e58", "#b67c4c"), dots=("#a86a48", "#8f9a52"),
    far=("#e2a58c", "#b9809a"), near=("#dd8252", "#b2596a"), cap="#f0b078", cap_from=2.0, plateau=3.2,
    far_peaks=_MESAS, near_peaks=_peaks(*((p.azimuth * 0.9 + 25, p.height * 0.62, p.width * 0.8)
                                          for p in _MESAS)), clouds=0.5, dot_share=0.4,
)  # fmt: skip

SNOW = Theme(
    name="snow",
    kinds=(
        Kind(0.46, (
            Part("cylinder", 0.14, 0.0, 0.9, "#6a4a3a"),
            Part("cone", 1.05, 0.45, 2.0, "#2f7a6a", "#23635c", 0.5, snow=0.75),
            Part("cone", 0.82, 1.25, 2.8, "#34826f", "#276a60", 0.5, snow=0.75),
            Part("cone", 0.55, 2.1, 3.6, "#3a8a75", "#2a7064", 0.5, snow=0.8),
        ), 0.85),
        Kind(0.18, (ball(0.85, -0.5, 0.9, "#93a1bf", second="#7b8ab0", mottle=0.4, facets=1.0, snow=0.9),
                    ball(0.5, -0.3, 0.5, "#9aa8c4", second="#8090b4", mottle=0.4,
                         facets=1.0, snow=0.9, at=(0.8, -0.2))),
             0.9),
        Kind(0.16, (
            Part("box", 0.9, 0.0, 1.1, "#b5713f", "#93572f", 0.3, depth=0.75, house=1.0, lamp=1.0,
                 stripes=4.0),
            Part("gable", 1.12, 1.05, 2.0, "#f6fbff", "#dfeaf6", 0.3, depth=0.95),
            Part("box", 0.14, 1.2, 2.2, "#8a5a4c", depth=0.14, at=(0.45, 0.3), snow=0.5),
        ), 1.1, (0.95, 1.15)),
        Kind(0.10, (ball(0.48, -0.05, 0.85, "#ffffff", second="#e4eefa", mottle=0.4),
                    ball(0.34, 0.7, 1.32, "#ffffff", second="#e4eefa", mottle=0.4),
                    ball(0.22, 1.2, 1.62, "#ffffff", mottle=0.1),
                    Part("cylinder", 0.2, 1.55, 1.85, "#d43f4f", mottle=0.0)), 0.6, (0.8, 1.1)),
        Kind(0.10, (ball(0.6, -0.25, 0.7, "#c8483f", second="#2c7a5e", mottle=1.0, snow=0.5),), 0.65),
    ),
    density=0.62,
    zenith="#4a86d8", horizon="#ffdfe0", cloud="#fff7fb", sun="#fff0d6", sun_at=(120, 0.30),
    light="#fff4e6", shade="#9cabe0",
    ground=("#c9dcf4", "#dfebfa", "#f3f8ff"), path=("#b3c6e6", "#a2b8de"), dots=("#9db6de", "#7f9ccf"),
    far=("#cfdcf6", "#8fa5d8"), near=("#5f86a8", "#486a93"), cap="#ffffff", cap_from=0.1, plateau=1.0,
    far_peaks=tuple(Peak(p.azimuth + 17, p.height * 1.1, p.width * 0.9) for p in _ALPS),
    near_peaks=tuple(Peak(p.azimuth + 9, p.height * 1.05, p.width * 0.7) for p in _HILLS), clouds=0.6,
    dot_share=0.4,
)  # fmt: skip

THEMES = (MEADOW, DESERT, SNOW)
