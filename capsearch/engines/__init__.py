"""Engines train candidates; all of them keep the contract in `capsearch.engines.base`."""
