"""The looks of the three worlds, as tables: what stands where, in which colors, under which sky."""

from __future__ import annotations

from dataclasses import replace

from training.shapes import Kind, Part, Peak, Theme, ball, peaks

_ALPS = peaks(
    (5, 0.30, 0.36), (38, 0.20, 0.30), (66, 0.25, 0.32), (98, 0.17, 0.34), (131, 0.27, 0.34),
    (160, 0.19, 0.26), (189, 0.23, 0.36), (221, 0.31, 0.36), (252, 0.18, 0.30), (283, 0.25, 0.30),
    (312, 0.17, 0.28), (338, 0.22, 0.30),
)  # fmt: skip
_HILLS = peaks(
    (20, 0.10, 0.52), (55, 0.06, 0.40), (85, 0.11, 0.50), (118, 0.07, 0.44), (148, 0.12, 0.46),
    (178, 0.07, 0.40), (206, 0.10, 0.50), (238, 0.06, 0.46), (268, 0.12, 0.52), (298, 0.08, 0.40),
    (325, 0.11, 0.44), (352, 0.06, 0.40),
)  # fmt: skip
_MESAS = peaks(
    (12, 0.19, 0.22), (47, 0.13, 0.16), (84, 0.22, 0.24), (120, 0.12, 0.30), (155, 0.20, 0.17),
    (196, 0.15, 0.26), (230, 0.23, 0.20), (266, 0.12, 0.20), (300, 0.18, 0.28), (336, 0.14, 0.14),
)  # fmt: skip

MEADOW = Theme(
    name="meadow",
    kinds=(
        Kind("tree", 0.40, (
            Part("cylinder", 0.17, 0.0, 1.3, "#7a4f32", "#5d3a25", 0.6),
            ball(1.15, 0.95, 2.75, "#4fae3a", second="#2f8a36", mottle=0.8),
            ball(0.80, 2.0, 3.5, "#6cc644", second="#3f9c3a", mottle=0.8, at=(0.2, 0.1)),
        ), 0.8),
        Kind("tree", 0.16, (
            Part("cylinder", 0.13, 0.0, 1.0, "#6b4630"),
            Part("cone", 0.95, 0.55, 2.3, "#2c7d46", "#1f6440", 0.6),
            Part("cone", 0.72, 1.55, 3.3, "#35904d", "#257046", 0.6),
        ), 0.75),
        Kind("rock", 0.14, (ball(0.85, -0.5, 0.85, "#b4b9c4", second="#9299a8", mottle=0.4, facets=1.0),
                    ball(0.5, -0.3, 0.5, "#bfc4cd", second="#989fae", mottle=0.4,
                         facets=1.0, at=(0.75, 0.3))), 0.9),
        Kind("bush", 0.18, (ball(0.7, -0.35, 0.85, "#57b347", second="#2f8f3c", mottle=0.9),
                    ball(0.52, -0.25, 0.65, "#e8567a", second="#57b347", mottle=1.0, at=(0.6, -0.2))), 0.8),
        Kind("house", 0.12, (
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
        Kind("tree", 0.34, (
            ball(0.30, -0.6, 2.3, "#4a9a52", second="#2f7a48", mottle=0.5),
            ball(0.20, 0.65, 1.75, "#55a659", second="#2f7a48", mottle=0.5, at=(0.46, 0.0)),
            ball(0.18, 0.95, 1.9, "#55a659", second="#2f7a48", mottle=0.5, at=(-0.44, 0.0)),
            ball(0.16, 2.2, 2.45, "#ff5f86", mottle=0.0),
        ), 0.55, (0.75, 1.2)),
        Kind("rock", 0.24, (ball(1.0, -0.6, 1.05, "#ee9f62", second="#d17c4c", mottle=0.5, facets=1.0,
                                 stripes=3.0),
                    ball(0.6, -0.4, 0.6, "#f0a86c", second="#d58552", mottle=0.5,
                         facets=1.0, at=(0.8, 0.45))), 1.0),
        Kind("rock", 0.12, (
            Part("cylinder", 0.85, -0.1, 1.3, "#e88f58", "#c96c46", 0.8, stripes=2.6),
            Part("cylinder", 0.6, 1.2, 2.5, "#ee9a62", "#cf7650", 0.8, stripes=2.6, at=(0.1, 0.1)),
        ), 0.95, (0.75, 1.2)),
        Kind("house", 0.14, (
            Part("box", 0.95, 0.0, 1.25, "#f0d6a8", "#dfbd88", 0.4, depth=0.85, house=1.0),
            Part("box", 0.6, 1.2, 1.95, "#f5dfb8", "#dfbd88", 0.4, depth=0.55, at=(-0.2, 0.1)),
            Part("box", 1.02, 1.2, 1.32, "#3f8fa8", depth=0.92, mottle=0.0),
        ), 1.1, (0.9, 1.1)),
        Kind("bush", 0.16, (ball(0.55, -0.2, 0.6, "#a9b05a", second="#838f45", mottle=0.9),
                    ball(0.4, -0.1, 0.45, "#b9bd66", second="#8c9549", mottle=0.9, at=(0.5, 0.2))), 0.6),
    ),
    density=0.58,
    zenith="#2c7fc9", horizon="#ffe3bd", cloud="#fff6ea", sun="#fff0b8", sun_at=(-62, 0.36),
    light="#fff2d6", shade="#bb9fac",
    ground=("#e3ae66", "#efc27b", "#f8d695"), path=("#c98e58", "#b67c4c"), dots=("#a86a48", "#8f9a52"),
    far=("#e2a58c", "#b9809a"), near=("#dd8252", "#b2596a"), cap="#f0b078", cap_from=2.0, plateau=3.2,
    far_peaks=_MESAS, near_peaks=peaks(*((p.azimuth * 0.9 + 25, p.height * 0.62, p.width * 0.8)
                                          for p in _MESAS)), clouds=0.5, dot_share=0.4,
)  # fmt: skip

SNOW = Theme(
    name="snow",
    kinds=(
        Kind("tree", 0.46, (
            Part("cylinder", 0.14, 0.0, 0.9, "#6a4a3a"),
            Part("cone", 1.05, 0.45, 2.0, "#2f7a6a", "#23635c", 0.5, snow=0.75),
            Part("cone", 0.82, 1.25, 2.8, "#34826f", "#276a60", 0.5, snow=0.75),
            Part("cone", 0.55, 2.1, 3.6, "#3a8a75", "#2a7064", 0.5, snow=0.8),
        ), 0.85),
        Kind("rock", 0.18, (ball(0.85, -0.5, 0.9, "#93a1bf", second="#7b8ab0", mottle=0.4, facets=1.0,
                                 snow=0.9),
                    ball(0.5, -0.3, 0.5, "#9aa8c4", second="#8090b4", mottle=0.4,
                         facets=1.0, snow=0.9, at=(0.8, -0.2))),
             0.9),
        Kind("house", 0.16, (
            Part("box", 0.9, 0.0, 1.1, "#b5713f", "#93572f", 0.3, depth=0.75, house=1.0, lamp=1.0,
                 stripes=4.0),
            Part("gable", 1.12, 1.05, 2.0, "#f6fbff", "#dfeaf6", 0.3, depth=0.95),
            Part("box", 0.14, 1.2, 2.2, "#8a5a4c", depth=0.14, at=(0.45, 0.3), snow=0.5),
        ), 1.1, (0.95, 1.15)),
        Kind("figure", 0.10, (ball(0.48, -0.05, 0.85, "#ffffff", second="#e4eefa", mottle=0.4),
                    ball(0.34, 0.7, 1.32, "#ffffff", second="#e4eefa", mottle=0.4),
                    ball(0.22, 1.2, 1.62, "#ffffff", mottle=0.1),
                    Part("cylinder", 0.2, 1.55, 1.85, "#d43f4f", mottle=0.0)), 0.6, (0.8, 1.1)),
        Kind("bush", 0.10, (ball(0.6, -0.25, 0.7, "#c8483f", second="#2c7a5e", mottle=1.0, snow=0.5),), 0.65),
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

# ------------------------------------------------------------------------------------- gta_drive


def _house(wall: str, roof: str, share: float) -> Kind:
    return Kind("house", share, (
        Part("box", 1.7, 0.0, 1.9, wall, mottle=0.1, depth=1.5, house=1.0, boards=2.6),
        Part("gable", 1.95, 1.85, 3.3, roof, mottle=0.1, depth=1.8),
        Part("box", 0.2, 2.2, 3.5, "#a8685a", depth=0.2, at=(0.8, 0.5)),
    ), 2.0, (0.92, 1.08))  # fmt: skip


def _tower(wall: str, rim: str, half: float, height: float, lamp: float) -> Kind:
    return Kind("tower", 0.5, (
        Part("box", half, 0.0, height, wall, mottle=0.15, panes=0.5, lamp=lamp),
        Part("box", half + 0.08, height, height + 0.3, rim, mottle=0.0),
        Part("box", half * 0.5, height + 0.25, height + 0.9, wall, mottle=0.2),
    ), half + 0.5, (0.94, 1.06), pool=1)  # fmt: skip


SUBURB = Theme(
    name="suburb",
    kinds=(
        _house("#f6ead2", "#c9503f", 0.22),
        _house("#a9cde0", "#5f6f86", 0.14),
        _house("#f3cf86", "#a6563f", 0.14),
        Kind("tree", 0.30, (
            Part("cylinder", 0.17, 0.0, 1.4, "#7a4f32"),
            ball(1.2, 1.0, 3.1, "#4fae3a", second="#2f8a36", mottle=0.6),
            ball(0.8, 2.2, 3.8, "#6cc644", second="#3f9c3a", mottle=0.6, at=(0.2, 0.1)),
        ), 0.9),
        Kind("bush", 0.20, (ball(0.9, -0.35, 0.95, "#57b347", second="#2f8f3c", mottle=0.7),
                    ball(0.7, -0.25, 0.75, "#6cc644", second="#3f9c3a", mottle=0.7, at=(0.9, -0.3))), 1.0),
        _tower("#d8b18c", "#a8745a", 2.0, 4.6, 0.0),
        _tower("#e9e4da", "#8fa0b4", 1.8, 5.8, 0.0),
    ),
    density=0.86,
    zenith="#2f86e0", horizon="#c4e8fa", cloud="#ffffff", sun="#fff4c4", sun_at=(32, 0.42),
    light="#fff8e2", shade="#9fb3d2",
    ground=("#5ba53f", "#71b94a", "#86c854"), path=("#6e727c", "#666a74"), dots=("#e0402f", "#fbe9d8"),
    far=("#8fb3dc", "#6f94c6"), near=("#7fb878", "#5c9a72"), cap="#f4fbff", cap_from=0.17, plateau=1.0,
    far_peaks=_ALPS, near_peaks=_HILLS, stone=("#cfcac0", "#b9b4aa"),
)  # fmt: skip

NIGHT_CITY = Theme(
    name="night city",
    kinds=(
        Kind("tower", 0.34, (
            Part("box", 2.1, 0.0, 4.4, "#3d4478", mottle=0.2, panes=0.5, lamp=0.55),
            Part("box", 2.16, 2.05, 2.35, "#ff4fa0", mottle=0.0, glow=1.0),
            Part("box", 2.16, 4.35, 4.55, "#5a63a8", mottle=0.0),
        ), 2.5, (0.92, 1.08)),
        Kind("tower", 0.30, (
            Part("box", 1.9, 0.0, 6.2, "#333a6c", mottle=0.2, panes=0.5, lamp=0.6),
            Part("box", 1.96, 6.15, 6.4, "#35d6ff", mottle=0.0, glow=1.0),
        ), 2.3, (0.92, 1.08)),
        Kind("house", 0.20, (
            Part("box", 1.8, 0.0, 1.5, "#4a3f78", mottle=0.2, depth=1.6, house=1.0, lamp=1.0,
                 boards=2.6),
            Part("box", 1.9, 1.45, 1.75, "#ffc23f", mottle=0.0, depth=1.7, glow=1.0),
        ), 2.1, (0.95, 1.1)),
        Kind("tree", 0.16, (
            Part("cylinder", 0.15, 0.0, 1.3, "#3a2f4c"),
            ball(1.1, 0.95, 2.7, "#2f6f74", second="#24565f", mottle=0.6),
            ball(0.7, 1.9, 3.2, "#3a8580", second="#2a6168", mottle=0.6, at=(0.2, 0.1)),
        ), 0.9),
        _tower("#2b3164", "#35d6ff", 2.1, 8.2, 0.6),
        _tower("#3a3068", "#ff4fa0", 2.0, 7.0, 0.6),
    ),
    density=0.9,
    zenith="#141a44", horizon="#8a5aa8", cloud="#7a6aa8", sun="#ffe9c8", sun_at=(70, 0.36),
    light="#c8c8f4", shade="#8688c8",
    ground=("#26354f", "#36496c", "#475d84"), path=("#3c4058", "#373b52"), dots=("#22b8d8", "#e8f6ff"),
    far=("#4a4486", "#3a3876"), near=("#2f3470", "#262b60"), cap="#8a80c0", cap_from=0.6, plateau=1.0,
    far_peaks=_ALPS, near_peaks=_HILLS, clouds=0.45, stone=("#777da0", "#676d90"), night=0.8,
)  # fmt: skip

HIGHWAY = Theme(
    name="highway",
    kinds=(
        *(replace(kind, share=kind.share * 1.6, solid=kind.solid * 0.8) for kind in DESERT.kinds[:3]),
        Kind("house", 0.30, (
            Part("box", 2.0, 0.0, 1.5, "#f2d9b4", mottle=0.2, depth=1.3, house=1.0, boards=2.6),
            Part("box", 2.1, 1.45, 1.75, "#3f9fa8", mottle=0.0, depth=1.4),
            Part("box", 0.12, 1.7, 3.2, "#c9c4bc", depth=0.12, at=(1.2, 0.9)),
            Part("box", 0.6, 2.9, 3.7, "#e0503f", mottle=0.0, depth=0.14, at=(1.2, 0.9), stripes=2.0),
        ), 2.2, (0.95, 1.05)),
        Kind("tree", 0.30, (
            Part("cylinder", 0.14, 0.0, 2.2, "#8a6244"),
            ball(1.0, 1.9, 2.75, "#8fae4a", second="#6f9440", mottle=0.6),
            ball(0.7, 2.3, 3.2, "#a3bd58", second="#7d9e48", mottle=0.6, at=(0.2, 0.1)),
        ), 0.5),
        Kind("rock", 1.0, (
            Part("cylinder", 1.5, -0.1, 1.8, "#e88f58", "#c96c46", 0.6, stripes=2.0),
            Part("cylinder", 1.1, 1.7, 3.6, "#ee9a62", "#cf7650", 0.6, stripes=2.0, at=(0.15, 0.1)),
        ), 1.8, (0.9, 1.1), pool=1),
    ),
    density=0.74,
    zenith="#2c7fc9", horizon="#ffe3bd", cloud="#fff6ea", sun="#fff0b8", sun_at=(-62, 0.36),
    light="#fff2d6", shade="#bb9fac",
    ground=("#e3ae66", "#eabb74", "#f1c984"), path=("#77706f", "#6f6867"), dots=("#f5a81f", "#fff3dc"),
    far=("#e2a58c", "#b9809a"), near=("#dd8252", "#b2596a"), cap="#f0b078", cap_from=2.0, plateau=3.2,
    far_peaks=_MESAS, near_peaks=DESERT.near_peaks, clouds=0.5,
    stone=("#d9b489", "#cba578"),
)  # fmt: skip

# ------------------------------------------------------------------------------------- templerun


def _gate(stone: str, moss: str, roof: str) -> Kind:
    return Kind("ruin", 0.16, (
        Part("box", 0.34, -0.8, 3.0, stone, moss, 0.6, at=(-2.0, 0.0)),
        Part("gable", 2.65, 3.35, 4.1, roof, moss, 0.3, depth=0.75),
        Part("box", 0.34, -0.8, 3.0, stone, moss, 0.6, at=(2.0, 0.0)),
        Part("box", 2.5, 2.95, 3.4, stone, moss, 0.5, depth=0.45),
    ), 0.0, (1.0, 1.0), pool=1, spans=True)  # fmt: skip


def _torch(stone: str, moss: str, flame: str) -> Kind:
    return Kind("ruin", 0.42, (
        Part("box", 0.24, -0.8, 0.75, stone, moss, 0.5),
        Part("box", 0.34, 0.7, 0.9, stone, moss, 0.3),
        ball(0.21, 0.84, 1.22, flame, second="#fff3c0", mottle=0.6, glow=1.0),
        Part("cone", 0.19, 1.06, 1.55, flame, "#fff3c0", 0.3, glow=1.0),
    ), 0.0, (0.95, 1.05), pool=1)  # fmt: skip


def _pillar(stone: str, moss: str, share: float = 0.42) -> Kind:
    return Kind("ruin", share, (
        Part("cylinder", 0.30, -0.8, 2.1, stone, moss, 0.6),
        Part("box", 0.40, 2.05, 2.35, stone, moss, 0.4),
        Part("box", 0.40, -0.8, 0.3, stone, moss, 0.6),
    ), 0.0, (0.9, 1.1), pool=1)  # fmt: skip


JUNGLE = Theme(
    name="jungle",
    kinds=(
        Kind("tree", 0.50, (
            Part("cylinder", 0.16, -0.8, 2.4, "#8a6244"),
            ball(1.5, 2.0, 2.9, "#43a047", second="#2c7d3a", mottle=0.7),
            ball(1.0, 2.5, 3.4, "#66bb4a", second="#3c9440", mottle=0.7, at=(0.2, 0.1)),
            ball(1.3, -1.6, -0.25, "#c9b27c", second="#a8925e", mottle=0.5),
        ), 0.0),
        Kind("rock", 0.30, (ball(1.2, -1.8, 0.9, "#a2a79a", second="#5f8f4c", mottle=0.7, facets=1.0),
                    ball(0.75, -1.4, 0.4, "#aab0a2", second="#6a9a52", mottle=0.7,
                         facets=1.0, at=(0.75, 0.3))), 0.0),
        Kind("ruin", 0.20, (Part("box", 1.1, -0.8, 1.0, "#b8b09a", "#6f8f58", 0.7, depth=1.1),
                    Part("box", 0.8, 0.95, 1.9, "#c4bca6", "#6f8f58", 0.7),
                    Part("box", 0.5, 1.85, 2.7, "#ccc4ae", "#7a9a60", 0.6)), 0.0),
        _pillar("#cfc6ad", "#7a9a5c"), _torch("#b9b099", "#6f8f58", "#ff9d2e"),
        _gate("#cbc2aa", "#74965a", "#b8553f"),
    ),
    density=0.6,
    zenith="#2f8fd8", horizon="#d2f0e4", cloud="#ffffff", sun="#fff4c4", sun_at=(40, 0.40),
    light="#fff8e0", shade="#94b0bc",
    ground=("#1f8f96", "#2aa6a4", "#45bcb0"), path=("#7fae55", "#5f9448"), dots=("#ffffff", "#ffffff"),
    far=("#86b4c8", "#6a9ab4"), near=("#4f9a68", "#3a7f58"), cap="#9fd0a0", cap_from=0.6, plateau=1.0,
    far_peaks=_ALPS, near_peaks=_HILLS, stone=("#d8cfb4", "#bdb398"),
)  # fmt: skip

LAVA = Theme(
    name="lava",
    kinds=(
        Kind("rock", 0.60, (Part("cone", 1.4, -0.8, 2.6, "#4a3640", "#38282f", 0.6, facets=1.0),
                    Part("cone", 0.75, -0.8, 1.5, "#554049", "#38282f", 0.6,
                         facets=1.0, at=(0.7, 0.4))), 0.0),
        Kind("rock", 0.40, (ball(1.3, -1.8, 0.7, "#4f3b44", second="#3a2a30", mottle=0.6, facets=1.0),
                    ball(0.7, -1.4, 0.5, "#5c4750", second="#3a2a30", mottle=0.6,
                         facets=1.0, at=(0.8, -0.3))), 0.0),
        _pillar("#8a8494", "#625866"), _torch("#7c7484", "#585060", "#ffb02e"),
        _gate("#857e8e", "#5e5664", "#b8463c"),
    ),
    density=0.55,
    zenith="#3a2048", horizon="#ff9a5c", cloud="#a8607a", sun="#ffe08a", sun_at=(-38, 0.30),
    light="#ffe2c4", shade="#b98ca0",
    ground=("#c43a14", "#ff7a1c", "#ffc244"), path=("#5c4a56", "#4a3c48"), dots=("#ffffff", "#ffffff"),
    far=("#84405c", "#662f52"), near=("#5c2c46", "#48233c"), cap="#ff8c3c", cap_from=0.24, plateau=1.0,
    far_peaks=tuple(replace(p, azimuth=p.azimuth + 24, height=p.height * 1.1) for p in _ALPS),
    near_peaks=_HILLS, clouds=0.55, stone=("#a29aa6", "#888090"),
)  # fmt: skip

CLOUDS = Theme(
    name="clouds",
    kinds=(
        Kind("cloud", 0.55, (ball(1.5, -1.6, 0.5, "#ffffff", second="#dfe9fb", mottle=0.4),
                    ball(0.85, -1.2, 0.9, "#ffffff", second="#e4ecfb", mottle=0.4, at=(0.7, 0.2)),
                    ball(0.75, -1.2, 0.4, "#ffffff", second="#e4ecfb", mottle=0.4, at=(-0.8, -0.2))), 0.0),
        Kind("tree", 0.45, (Part("cone", 1.3, -3.4, -0.2, "#b0a0c8", "#9484b4", 0.5, facets=1.0),
                    ball(1.35, -0.6, 0.15, "#8fcf8a", second="#6ab87c", mottle=0.6),
                    Part("cylinder", 0.13, 0.0, 1.2, "#8a6a7c"),
                    ball(0.8, 0.8, 2.1, "#ff9fc0", second="#f27fa8", mottle=0.6)), 0.0),
        _pillar("#fbf7ff", "#ddd4ee"), _torch("#f4eeff", "#d4cae8", "#6fd8ff"),
        _gate("#faf4ff", "#dcd2ee", "#e8a83f"),
    ),
    density=0.6,
    zenith="#5a8cf0", horizon="#ffe2ee", cloud="#ffffff", sun="#fff4d4", sun_at=(150, 0.40),
    light="#fffaf0", shade="#b0b4e4",
    ground=("#c4d4f6", "#dde8fc", "#f4f8ff"), path=("#f0d48a", "#dfbc6a"), dots=("#ffffff", "#ffffff"),
    far=("#c8c4f0", "#a8a8e0"), near=("#b4d0f4", "#98b8e8"), cap="#ffffff", cap_from=0.14, plateau=1.0,
    far_peaks=tuple(replace(p, azimuth=p.azimuth + 17) for p in _ALPS), near_peaks=_HILLS, clouds=0.8,
    stone=("#f3e9f8", "#d8cce8"),
)  # fmt: skip

THEMES = {
    "universal": (MEADOW, DESERT, SNOW),
    "gta_drive": (SUBURB, NIGHT_CITY, HIGHWAY),
    "templerun": (JUNGLE, LAVA, CLOUDS),
}
