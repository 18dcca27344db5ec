"""A bag of visual words in blocks of several sizes, topics, and multiple-instance learning over the blocks."""
