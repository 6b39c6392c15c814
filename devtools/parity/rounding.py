"""What rounding to bfloat16 makes of a play's latents: the golden nets in float64 against the same rounded.

    python -m devtools.parity.rounding tests/goldens --seeds 8

Each play of the folder runs with its own noise, then with that of other seeds; printed is the relative RMS of
the latents' difference. `RELATIVE_RMS` in `folder.py` is derived from it.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from torch import Tensor

from devtools.parity.folder import Case, Folder
from devtools.parity.kinds import play


class Reseeded(Case):
    """A pipeline file whose noise is another seed's; seed 0 is its own."""

    def __init__(self, folder: Folder, name: str, seed: int):
        super().__init__(folder, name)
        if seed:
            generator = torch.Generator().manual_seed(seed)
            for key in ("noise", "renoise"):
                like = self.tensors[key]
                self.tensors[key] = torch.randn(like.shape, generator=generator).to(like)


def latents(folder: Folder, name: str, seed: int) -> Tensor:
    case = Reseeded(folder, name, seed)
    return play(case, case["keyboard_cond"], case.get("mouse_cond"))["latents"].double().cpu()


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m devtools.parity.rounding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=8, help="of each play (default 8)")
    args = parser.parse_args()
    exact, rounded = (Folder(args.folder, args.device, dtype) for dtype in ("float64", "bfloat16"))
    for name in (name for name, entry in exact.index.items() if entry.get("kind") == "pipeline"):
        found = []
        for seed in range(args.seeds):
            truth = latents(exact, name, seed)
            found.append(float((latents(rounded, name, seed) - truth).norm() / truth.norm()))
        print(f"{name}: {found[0]:.2e} with its own noise, median {statistics.median(found):.2e}", end=", ")
        print(f"largest {max(found):.2e} of {args.seeds}", flush=True)


if __name__ == "__main__":
    main()
