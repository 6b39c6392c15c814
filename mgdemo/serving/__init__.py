"""Plays for many visitors: sessions, scheduling, pacing and transport. Only workers import torch."""

from mgdemo.serving.keeping import Result
from mgdemo.serving.service import PlayService, ServingError
from mgdemo.serving.sessions import FINAL, PlayRequest, Session, Status
from mgdemo.settings import Settings, SettingsError

__all__ = [
    "FINAL",
    "PlayRequest",
    "PlayService",
    "Result",
    "ServingError",
    "Session",
    "Settings",
    "SettingsError",
    "Status",
]
