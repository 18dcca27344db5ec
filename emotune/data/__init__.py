"""Data: images to shards, shards to arrays in memory, arrays to batches."""
