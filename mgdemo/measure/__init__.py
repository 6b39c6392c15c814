"""How well a run follows its controls, and how long it holds up: scores from frames and actions alone.

Frames are uint8 [T, H, W, 3]. No truth is needed: what the controls should cause is compared with what is
seen to move, returns with departures, later frames with the start. Rules that all measures share:

- A score is 0 to 1, or None where a measure does not apply; never 0 for "not applicable".
- Beside a score stand the lists it comes from, frame by frame or window by window, and each control's own.
- A picture that does not move earns nothing where motion was asked for.
- Every measure is proven on known-bad clips (tests/measure): still, shuffled, blurred, with mirrored
  controls, and frames of another run.

docs/measures.md says what each figure means. OpenCV and numpy, no torch.
"""
