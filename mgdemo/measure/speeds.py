"""How the embedded worlds move: their training draws with these numbers, and the measures read by them.

Lengths are in units of the world, speeds in units a video frame, angles in radians.
"""

import math

HALF_VIEW = math.tan(math.radians(75) / 2)  # tangent of half the horizontal field of view
EYE = {"universal": 1.0, "gta_drive": 1.3, "templerun": 1.0}  # height
PITCH = {"universal": 0.0, "gta_drive": -0.09, "templerun": -0.10}  # of a start
TURN = math.radians(15)  # a frame for a mouse value of 1, so 1.5 degrees for 0.1

SPEED = 0.10  # universal: walking
PITCH_LIMIT = math.radians(18)  # the horizon stays in the picture

TOP_SPEED, REVERSE, CREEP = 0.20, 0.5, 0.35  # gta_drive, and shares of its top speed
TO_TOP = 6  # frames
TO_LOCK = 4
LEVER = 3.4  # from the camera to the car's rear axle, about which it turns

RUN_SPEED = 0.15  # templerun
ARC = 12  # frames of a jump or a turn: one block
JUMP, DUCK, STEP = 0.85, 0.55, 0.75  # heights of a jump and a slide, width of a step to the side
BOB = 0.045  # how far the camera goes up and down in running
REACT = 5  # frames to duck or to step aside
