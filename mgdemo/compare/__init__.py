"""Comparing runs: which checkpoint follows its controls, and for how long does its picture hold up?

A run is a scenario through a checkpoint from a start image with a seed and settings. A grid is up to six
columns of variants and any number of rows. Plans are pure; runs go through the same service as sessions.
"""
