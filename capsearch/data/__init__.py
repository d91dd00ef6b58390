"""Data sets, split and fingerprinted, behind the entry-point group `capsearch.data`."""
