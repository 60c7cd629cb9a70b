"""What the package's own web pages share: a small server, and files that may be shown."""
