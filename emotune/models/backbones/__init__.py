"""Backbones: networks of torchvision, timm or the user's own up to their last maps."""
