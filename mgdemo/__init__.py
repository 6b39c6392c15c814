"""mgdemo: play, replay and compare Matrix-Game 2.0 worlds."""

__version__ = "0.2.0"
