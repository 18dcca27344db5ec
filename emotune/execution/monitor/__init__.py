"""Shows how far runs are: on the screen, in TensorBoard, and in the `status` command."""
