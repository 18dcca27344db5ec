"""Plans which runs to train, checks that they can be trained, trains them, and shows their progress."""
