"""The options that all events of the page share."""

from typing import Any

# The player itself says what goes on, and no event of the page is part of the API.
EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# Of events that take the chosen checkpoint. While the next mode's list is on its way to the page, the page
# still sends the name that it shows, which Gradio would refuse; `Library.entry` refuses unknown ones.
AS_SENT: dict[str, Any] = EVENT_OPTIONS | {"preprocess": False}
