"""The options that all events of the page share."""

from typing import Any

# The player itself says what goes on, and no event of the page is part of the API.
EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

# Of events that take what is chosen in a list that the server changes: a checkpoint, or a film of the visit.
# While the next list is on its way to the page, and when the server has forgotten the page, Gradio would
# refuse what the page shows; whoever takes it refuses what is unknown.
AS_SENT: dict[str, Any] = EVENT_OPTIONS | {"preprocess": False}

# Of a choice that is a value of the page. What is chosen while another choice is on its way comes next:
# Gradio would drop it, and the page would show one thing while the server knows another.
CHOICE: dict[str, Any] = EVENT_OPTIONS | {"trigger_mode": "always_last"}

# Of choices that change one another's values: short ones, answered in the order in which they came.
IN_TURN: dict[str, Any] = AS_SENT | CHOICE | {"concurrency_id": "choices", "concurrency_limit": 1}

# Of events that bring something with them: each is heard.
EACH: dict[str, Any] = EVENT_OPTIONS | {"trigger_mode": "multiple"}
