"""The mathematics: arrays in, arrays out; nothing here knows of files, networks or methods."""
