"""Where images and labels come from: folders, tables, public data sets, synthetic images."""
