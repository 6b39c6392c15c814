"""The networks of Matrix-Game 2.0: pure functions of tensors, with sizes from `mgdemo.config`."""
