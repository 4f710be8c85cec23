"""Train: the same as `vaelab-train`."""

from vaelab.train import main

if __name__ == "__main__":
    main()
