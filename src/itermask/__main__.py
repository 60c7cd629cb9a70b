"""`python -m itermask`: the command, also for `torchrun -m itermask train …`."""

from itermask.cli.main import main

if __name__ == "__main__":
    main()
