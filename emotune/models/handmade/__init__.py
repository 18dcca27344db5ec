"""Hand-made features of images, from before networks learned theirs: a module for each feature set of a paper."""
