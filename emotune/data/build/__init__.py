"""From images to shards: download, ingest, curate, split, write, verify."""
