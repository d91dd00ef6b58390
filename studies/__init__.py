"""The studies that ship with capsearch: one TOML file each, named on the command line."""
