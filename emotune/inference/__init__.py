"""Finished runs at work: what their networks say of other images."""
