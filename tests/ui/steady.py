"""The stub world of tests/serving at a model's pace: 120 ms a block more, so that there is time to watch."""

import time

import stub


class World(stub.World):
    def step(self, actions):
        time.sleep(0.12)
        return super().step(actions)


class Model(stub.Model):
    def start(self, image, seed=0):
        return World(self)


def load(checkpoint, *, device, progress):
    stub.load(checkpoint, device=device, progress=progress)
    return Model(checkpoint)
