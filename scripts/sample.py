"""Sample: the same as `vaelab-sample`."""

from vaelab.sample import main

if __name__ == "__main__":
    main()
