"""`python -m tests.support.without_torch …`: the command `mgdemo`, where nothing can import torch.

So the package `spaces` takes this machine for one without a GPU, and a web process proves that it needs none.
"""

import sys

if __name__ == "__main__":
    sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]
    from mgdemo.cli import main

    sys.exit(main())
