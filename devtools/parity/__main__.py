"""Check every golden file in a folder, one row a case; exit code 1 if any differs or is not understood.

python -m devtools.parity tests/goldens
python -m devtools.parity tests/goldens --device cuda --dtype bfloat16
python -m devtools.parity --optimize tests/goldens
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from devtools import parity


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m devtools.parity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--optimize", action="store_true", help="check the pipelines of an optimized model")
    parser.add_argument(
        "--optimization",
        metavar="WORDS",
        default="",
        help='change what makes a GPU fast, as in "fp8,no-kernels": kernels, graphs, fp8, low-vram',
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to this file too")
    args = parser.parse_args(arguments)
    optimization = args.optimization if args.optimize or args.optimization else None
    return parity.main(
        args.folder, device=args.device, dtype=args.dtype, optimization=optimization, json_file=args.json
    )


if __name__ == "__main__":
    sys.exit(main())
