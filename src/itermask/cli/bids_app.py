"""`itermask-bids`: the command `itermask bids` under a name of its own, as containers start BIDS Apps."""

import sys


def main() -> None:
    """Run `itermask-bids BIDS_DIR OUTPUT_DIR …`, which is `itermask bids BIDS_DIR OUTPUT_DIR …`."""
    from itermask.cli.main import main as command

    sys.argv[1:1] = ["bids"]
    command()


if __name__ == "__main__":
    main()
