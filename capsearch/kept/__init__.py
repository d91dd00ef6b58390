"""The kept model: a folder that turns raw rows into predictions, with or without capsearch."""
