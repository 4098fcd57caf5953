"""Selection: a training set, settings chosen by folds and searches, a model trained by them."""
