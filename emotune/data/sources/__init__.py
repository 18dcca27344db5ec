"""Sources of images and labels: class folders, CSV tables, public data sets, synthetic images."""
