"""One validated layer for every TOML file."""
