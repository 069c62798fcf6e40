"""`python -m scaffold` is the same as `scaffold`."""

from scaffold.cli import main

if __name__ == "__main__":
    main()
