"""Progress: how far runs are, on the screen, in TensorBoard, in `status`."""
