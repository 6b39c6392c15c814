"""Speed, memory and number of plays: worlds on one GPU.

    python -m benchmarks.gpu --json gpu.json
    python -m benchmarks.gpu --json gpu.json --append --modes universal+fp8 --parts speed precision endurance
    python -m benchmarks.gpu --json gpu.json --append --modes universal+low-vram --fraction 11.5 --parts speed
    python -m benchmarks.gpu --modes universal-tiny --device cpu --blocks 12

A mode is a checkpoint of the catalog, by default the three published ones; after a + stands how it is
optimized, in the words of `Optimization.parse`: +fp8, +low-vram, +no-kernels,no-graphs, +none. Several modes
get a process each. The weights are random, which speed does not mind; --load takes the checkpoint's own.
Without --parts, the first mode has environment, speed, sessions and roofline, the others speed and roofline.
The file is written after each part; with --append, what it holds stays.

- environment: the machine, and the rate of a copy on the device (bytes read plus written).
- speed: seconds until the process is ready (Python and device, optimizing, warming up; not the weights), ms
  from Start to the first frames on the host, and ms of a block with full caches: all of it, from its actions
  to uint8 frames on the host, then until the first of them, then the stages on the device. `dit` is all that
  the transformer does, `pass` one denoising step, `clean` the pass that fills the caches. Frames a second are
  those of a play whose next block begins before the last one's frames are taken, as are all times between
  blocks in sessions and endurance. Joules a frame meanwhile, by the driver's counter (the whole card's, idle
  draw included), and how many plays that rate is enough for. Memory when ready and at its peak.
- sessions: worlds that take turns, whether they make the frames that they make alone, what each one more
  takes, and how many at once get a block every 480 ms with 95 % of the blocks ready less than 40 ms late.
- endurance: the first 100 blocks of a long play against the last 100.
- precision: error of latents and frames against the same weights in float32, the worst of 8 blocks. Each
  block begins with the caches of the float32 play, so errors don't add up. "plain" is not optimized.
- roofline: the least that operations and bytes allow; see benchmarks/roofline.py.
- reference (by --reference DIR): the public program beside ours, both loops; see benchmarks/reference.py.
- profile (by --profile FILE): what runs in a block, written as text.
"""
