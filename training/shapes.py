"""What themes are made of: objects of simple solids, colors, a sky and its skyline. Data only.

Objects are made of up to four parts, solids of revolution or boxes, measured in units of the world (a
walker's eye is 1.0 high); `training.places` packs them into tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

PARTS = 4  # parts an object may have
NAMES = ("tree", "bush", "rock", "house", "tower", "ruin", "figure", "cloud")  # what an object may be


@dataclass(frozen=True)
class Part:
    """One solid: `shape` is cylinder, cone, ellipsoid, box or gable; it spans heights `y0` to `y1`.

    `r` is the horizontal radius (half the width of a box or gable, whose half depth is `depth` or `r`);
    `at` shifts it from the object's axis. A surface is `color` mottled with `second` by `mottle` (0 to 1),
    carries snow by `snow` (0 to 1), level stripes by `stripes` (a count per unit) and, where `house` is 1,
    a door and windows (lit from inside by `lamp`, 0 to 1) between walls of `boards` (a count per unit).
    `panes` covers upright faces with rows of whole windows (a count per unit), a share `lamp` of them lit.
    `facets` (0 to 1) makes it look hewn, `glow` (0 to 1) shine by itself. An ellipsoid's `y0` and `y1` are
    its poles; what lies below `cut` is left out.
    """

    shape: str
    r: float
    y0: float
    y1: float
    color: str
    second: str = ""
    mottle: float = 0.25
    at: tuple[float, float] = (0.0, 0.0)
    depth: float = 0.0
    snow: float = 0.0
    stripes: float = 0.0
    house: float = 0.0
    lamp: float = 0.0
    facets: float = 0.0
    boards: float = 0.0
    panes: float = 0.0
    glow: float = 0.0
    cut: float | None = None


@dataclass(frozen=True)
class Kind:
    """One sort of object: what it is (one of `NAMES`), its share among its pool's objects, its parts and how
    much its size varies.

    `pool` 0 stands anywhere on the lattice; 1 in the middle of a town's blocks (gta_drive), or along the
    causeway (templerun), where one that `spans` stands on its middle line instead of its two edges.
    """

    what: str
    share: float
    parts: tuple[Part, ...]
    solid: float  # radius that the camera keeps clear of (plus its own distance)
    size: tuple[float, float] = (0.8, 1.15)
    pool: int = 0
    spans: bool = False


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
    path: tuple[str, str]  # a path, a road, or what grows on a causeway
    dots: tuple[str, str]  # flowers or pebbles, in two colors; gta_drive: the car's paint and its trim
    far: tuple[str, str]  # far mountains: lit and shaded side
    near: tuple[str, str]
    cap: str  # snow on top, or the strata's second color
    cap_from: float  # slope above which mountains are capped; above 1: strata instead
    plateau: float  # 1: peaks; larger: flat tops
    far_peaks: tuple[Peak, ...]
    near_peaks: tuple[Peak, ...]
    clouds: float = 0.7  # share of the sky's places for one that hold one
    fog: float = 42.0  # distance at which a thing is two thirds haze
    dot_share: float = 0.5
    stone: tuple[str, str] = ("#c9c6bf", "#aaa7a0")  # pavements, and the slabs of a causeway
    streets: int = 4  # cells from one road to the next
    night: float = 0.0  # how much of the ground's light comes from lamps


def ball(r: float, y0: float, y1: float, color: str, **more) -> Part:
    """A whole ellipsoid between the heights `y0` and `y1`."""
    return Part("ellipsoid", r, y0, y1, color, **more)


def peaks(*rows: tuple[float, float, float]) -> tuple[Peak, ...]:
    return tuple(Peak(*row) for row in rows)
