"""From shards to batches: index, cache, order, prefetching."""
