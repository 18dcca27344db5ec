"""Heads: from the maps of a backbone to logits."""
