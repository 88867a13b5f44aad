"""Training: a leaf behind the extra `train`; only the command line imports it, when asked to train."""
