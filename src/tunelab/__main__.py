"""``python -m tunelab`` is the command line."""

from tunelab.cli.main import main

if __name__ == "__main__":
    main()
