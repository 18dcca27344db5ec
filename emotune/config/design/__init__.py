"""Designs: factors, parts and grids, from which named variants and contrasts follow."""
