"""Reads shards: cache, index, order of images, batches, prefetching."""
