"""Finished runs for other tools: MLflow, Weights & Biases, trackio, TensorBoard, and a folder for the Hugging Face Hub.

`content` gathers what a study's finished runs are, the same for every tool; each ``to_<tool>`` writes it.
"""
