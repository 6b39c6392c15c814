"""Sessions for many visitors: queue, limits, recordings and live transport. Only workers import torch."""

from mgdemo.serving.live import live_routes
from mgdemo.serving.operator_routes import open_routes, operator_routes
from mgdemo.serving.phases import Ended
from mgdemo.serving.request import SessionRequest
from mgdemo.serving.service import ServingError, SessionService
from mgdemo.serving.session import Session
from mgdemo.settings import Settings, SettingsError
from mgdemo.video.films import Recording

__all__ = [
    "Ended",
    "Recording",
    "ServingError",
    "Session",
    "SessionRequest",
    "SessionService",
    "Settings",
    "SettingsError",
    "live_routes",
    "open_routes",
    "operator_routes",
]
