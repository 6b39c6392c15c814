"""Do the embedded worlds hold? The bars of a world that is still a place after a minute.

    python -m benchmarks.worlds --starts 48 --device cuda --workers 7 --json worlds.json
    python -m benchmarks.worlds --starts 4 --truth                # judges the judges: all must hold
    python -m benchmarks.worlds --starts 48 --base worlds.json    # after training: against those figures

For each mode, every bar with its figure, the 95 % interval that resampling the starts gives, and whether it
holds. What is looked at, by parts that can be asked for alone (`--only`):

- **still** (`still.py`; not templerun, which never stands): a minute with nothing held, and with the view up
  or down at its end. A run holds if from 1 s on each picture looked at has a PSNR of 24 dB or more to the one
  at 1 s, and 0.7 to 1.4 times the detail of its start.
- **walk** (`walk.py`): the minute that `benchmarks.quality` plays. Sharpness is detail (variance of the
  Laplacian) over that of the true frames: what the VAE keeps of the start, and what is there around 10 s; and
  gradient energy over all of it. A place is what a scene reader (`reader.py`) says: the Fréchet distance of
  its features between made and true frames at 5, 20 and 60 s; in gta_drive the share of frames from 20 s on
  with a road or lawn to drive on and a horizon; in universal the frames with houses at 20 s, over those in
  truth.
- **keys** (`speed.py` and `benchmarks.controllability`): how fast each single control moves the picture, over
  how fast it moves the true one, read the same way; right motion, strictly right blocks, and standing still.

A distance has no bar of its own: it should be a third of an earlier one (`--base`), from as many starts,
since few starts make it larger, and by the same reader. That is taught once, in some minutes on a CPU, and
kept as `outputs/reader.safetensors` (`python -m benchmarks.worlds.teach` also says how well it reads).
"frechet_floor" is the distance between two halves of the true frames. Photographs are judged by eye, and cost
by `benchmarks.play_cpu`.
"""
