"""The options that all events of the page share."""

from typing import Any

# The player itself says what goes on, and no event of the page is part of the API.
EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
