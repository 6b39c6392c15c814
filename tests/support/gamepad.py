"""A gamepad of the standard layout, as a page sees it: a script for the browser."""

GAMEPAD = """
  window.pad = {
    connected: true, mapping: "standard", axes: [0, 0, 0, 0],
    buttons: Array.from({ length: 17 }, () => ({ pressed: false, value: 0 })),
  };
  navigator.getGamepads = () => [window.pad, null];
  window.plug = () => window.dispatchEvent(new Event("gamepadconnected"));
"""
