"""Faster ways to the same results: modules that replace plain ones, so that a printed model shows them."""
