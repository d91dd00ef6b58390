"""Kinds of networks: which there are, how large each is, and how one becomes a Keras model."""
