"""Inference: predictions of finished runs for other images, and export to ONNX."""
