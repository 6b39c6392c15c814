"""Sessions for many visitors: queue, limits, recordings and live transport. Only workers import torch."""

from mgdemo.serving.keeping import Result
from mgdemo.serving.live import live_routes
from mgdemo.serving.phases import Ended
from mgdemo.serving.service import ServingError, SessionService
from mgdemo.serving.session import Session, SessionRequest
from mgdemo.settings import Settings, SettingsError

__all__ = [
    "Ended",
    "Result",
    "ServingError",
    "Session",
    "SessionRequest",
    "SessionService",
    "Settings",
    "SettingsError",
    "live_routes",
]
