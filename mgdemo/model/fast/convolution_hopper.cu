// A causal 3x3x3 convolution for Hopper GPUs, and one that follows nearest-neighbor doubling (see
// convolution_hopper.py).
//
// A thread block makes tiles of CONSUMERS * ROWS strips [64 pixels, COLUMNS channels]. What a tile reads of one
// frame, its halo, comes to shared memory once for its nine taps, each of which reads it from another pixel on. One
// warp fetches pixels, one the weights, and groups of four warps multiply, each ROWS strips, all of whose sums are
// in registers.
//
// Set by the caller: LARGER (that after doubling); EIGHT (int8 instead of bfloat16); INPUTS, OUTPUTS; COLUMNS, the
// outputs of a tile, 96 or 192; ROWS, CONSUMERS; PITCH: 0 if the strips of a tile lie one above the other, else
// they follow one another in the flattened frame, whose rows, with margins, have that many pixels; GROUP, the bytes
// of a pixel that are fetched at a time, in parts of PART bytes; HALOS and WEIGHTS, how many of each may be on their
// way; STAGGER, by how many taps the second consumer starts later, so that one multiplies while the other writes.

typedef unsigned int u32;
typedef unsigned long long u64;

struct alignas(64) Map {  // a CUtensorMap
    u64 words[16];
};

constexpr int ACROSS = 64, STRIPS = ROWS * CONSUMERS;
constexpr int PIXEL = INPUTS * (EIGHT ? 1 : 2);  // bytes
constexpr int GROUPS = PIXEL / GROUP, STEPS = GROUP / 32, PARTS = GROUP / PART;
constexpr bool FLAT = PITCH > 0;
constexpr int BELOW = FLAT ? PITCH : ACROSS + 2;  // from a pixel in a halo to the one below it
constexpr int NEXT = FLAT ? ACROSS : BELOW;       // and to the same one of the next strip
constexpr int HALO = FLAT ? STRIPS * ACROSS + 2 * PITCH + 2 : BELOW * (STRIPS + 2);
constexpr int BOXES = FLAT ? HALO / 248 + 1 : 1;  // that a halo is fetched in; a side has up to 256 pixels
constexpr int BOX = FLAT ? (HALO / BOXES + 8) / 8 * 8 : HALO;  // swizzles repeat after 8 pixels
constexpr int PART_BYTES = (BOXES * BOX * PART + 1023) / 1024 * 1024;
constexpr int HALO_BYTES = PARTS * PART_BYTES;
constexpr int LOAD_BYTES = COLUMNS * GROUP;  // the weights of a tap
constexpr int TALL = LARGER ? 2 : 3, TAPS = TALL * TALL, LONG = LARGER ? 1 : 3;
constexpr int SETS = OUTPUTS / COLUMNS, SIDES = LARGER ? 4 * SETS : SETS;  // tiles that have the same pixels
constexpr int CHUNKS = LONG * GROUPS;  // of a tile's sum, each with its own halo
constexpr int WEIGHTS_AT = HALOS * HALO_BYTES, TABLE_AT = WEIGHTS_AT + WEIGHTS * LOAD_BYTES;
constexpr int BARRIERS_AT = TABLE_AT + 2 * OUTPUTS * 4;
constexpr int THREADS = 128 * (CONSUMERS + 1);
static_assert(PIXEL % GROUP == 0 && GROUP % PART == 0 && OUTPUTS % COLUMNS == 0 && BOX * BOXES >= HALO);
static_assert(STAGGER < WEIGHTS, "the second consumer would wait for weights that wait for it");
static_assert(STAGGER < CHUNKS * TAPS, "the second consumer would wait for a tap that never comes");
static_assert(BARRIERS_AT + 16 * (HALOS + WEIGHTS) <= 227 * 1024, "more shared memory than a block can have");

#if EIGHT
typedef int Sum;
#define SUM "+r"
#define PRODUCT(columns) "wgmma.mma_async.sync.aligned.m64n" #columns "k32.s32.s8.s8"
#define SIGNS ""
#else
typedef float Sum;
#define SUM "+f"
#define PRODUCT(columns) "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32.bf16.bf16"
#define SIGNS ", 1, 1, 0, 0"
#endif

__device__ __forceinline__ void set_up(u32 barrier, u32 count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count));
}

__device__ __forceinline__ void expect(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ void arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void wait(u32 barrier, u32 phase) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}\n" ::"r"(barrier), "r"(phase) : "memory");
}

__device__ __forceinline__ void fetch(u32 to, const void* from, u32 bytes, u32 barrier) {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
        "l"(from), "r"(bytes), "r"(barrier) : "memory");
}

__device__ __forceinline__ void fetch_box(u32 to, const Map* map, int c, int x, int y, int t, u32 barrier) {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
        " [%0], [%1, {%2, %3, %4, %5}], [%6];" ::"r"(to),
        "l"(map), "r"(c), "r"(x), "r"(y), "r"(t), "r"(barrier) : "memory");
}

// A matrix in shared memory as the tensor cores read it. Of `across` and `down`, the distances of the 8x16-byte
// blocks along its columns and rows, the first one counts only without a swizzle.
__device__ __forceinline__ u64 matrix(u32 at, u32 across, u32 down, u32 swizzle) {
    u32 low = (at >> 4) + ((across >> 4) << 16);
    return (u64)((down >> 4) | (swizzle << 30)) << 32 | low;
}

#define FOUR(d, i) SUM(d[i]), SUM(d[i + 1]), SUM(d[i + 2]), SUM(d[i + 3])
#define HALF(d, i)                                                                                              \
    FOUR(d, i), FOUR(d, i + 4), FOUR(d, i + 8), FOUR(d, i + 12), FOUR(d, i + 16), FOUR(d, i + 20),              \
        FOUR(d, i + 24), FOUR(d, i + 28), FOUR(d, i + 32), FOUR(d, i + 36), FOUR(d, i + 40), FOUR(d, i + 44)

__device__ __forceinline__ void multiply(Sum (&d)[48], u64 pixels, u64 weights, int add) {
    asm volatile(
        "{\n"
        ".reg .pred add;\n"
        "setp.ne.b32 add, %50, 0;\n"
        PRODUCT(96)
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
        "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47}, "
        "%48, %49, add" SIGNS ";\n"
        "}\n"
        : HALF(d, 0)
        : "l"(pixels), "l"(weights), "r"(add));
}

__device__ __forceinline__ void multiply(Sum (&d)[96], u64 pixels, u64 weights, int add) {
    asm volatile(
        "{\n"
        ".reg .pred add;\n"
        "setp.ne.b32 add, %98, 0;\n"
        PRODUCT(192)
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
        "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, "
        "%56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, "
        "%74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, "
        "%92, %93, %94, %95}, "
        "%96, %97, add" SIGNS ";\n"
        "}\n"
        : HALF(d, 0), HALF(d, 48)
        : "l"(pixels), "l"(weights), "r"(add));
}

template <int LEFT>
__device__ __forceinline__ void until_left() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}

__device__ __forceinline__ u32 pair(float low, float high) {  // in bfloat16
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

// Volatile, so that the compiler does not keep what it read in registers, of which there are none left.
__device__ __forceinline__ float4 read_again(u32 at) {
    float4 v;
    asm volatile("ld.volatile.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(at));
    return v;
}

// Words [4] of four neighboring lanes, a 4x4 matrix, to its transpose.
__device__ __forceinline__ void transpose(u32 (&w)[4], int lane) {
#pragma unroll
    for (int bit = 1; bit < 4; bit *= 2) {
        bool upper = lane & bit;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            if (k & bit) continue;
            u32 got = __shfl_xor_sync(0xFFFFFFFFu, upper ? w[k] : w[k + bit], bit);
            w[k] = upper ? got : w[k];
            w[k + bit] = upper ? w[k + bit] : got;
        }
    }
}

struct Place {  // of a tile: its outputs, its frame, and where in the frame, with its margins, the halo begins
    int phase, column, t, y, x;  // phase: of the four pixels that a pixel becomes
    __device__ Place(int tile, int frames, int per_row) {
        // Neighbors in time come together, while what they share is in the cache.
        int place = tile / SIDES / frames;
        phase = tile % SIDES / SETS, column = tile % SETS * COLUMNS, t = tile / SIDES % frames;
        x = FLAT ? place * STRIPS * ACROSS : place % per_row * ACROSS, y = FLAT ? 0 : place / per_row * STRIPS;
    }
};

struct Turn {  // where in a ring of buffers, and how often it has been around
    u32 at = 0, phase = 0;
    __device__ void next(u32 count) {
        if (++at == count) at = 0, phase ^= 1;
    }
};

template <bool SKIP>
__device__ __forceinline__ void convolve(
    const Map& fresh, const Map& past, const unsigned char* weight, const float* scale, const float* bias,
    const unsigned short* skip, unsigned short* out, int frames, int height, int width) {
    extern __shared__ __align__(1024) unsigned char memory[];
    const u32 base = (u32)__cvta_generic_to_shared(memory);
    float* table = (float*)(memory + TABLE_AT);  // of each two outputs, their scales and their biases
    const u32 filled = base + BARRIERS_AT, emptied = filled + 8 * HALOS;
    const u32 known = emptied + 8 * HALOS, used = known + 8 * WEIGHTS;
    const int pitch = width + 2, end = (height + 1) * pitch;  // of a frame's pixels
    const int per_row = (width + ACROSS - 1) / ACROSS, rows = (height + STRIPS - 1) / STRIPS;
    const int per_frame = FLAT ? (height * pitch + STRIPS * ACROSS - 1) / (STRIPS * ACROSS) : per_row * rows;
    const int tiles = frames * per_frame * SIDES;
    if (threadIdx.x == 0) {
        for (int i = 0; i < HALOS; i++) set_up(filled + 8 * i, 1), set_up(emptied + 8 * i, 4 * CONSUMERS);
        for (int i = 0; i < WEIGHTS; i++) set_up(known + 8 * i, 1), set_up(used + 8 * i, 4 * CONSUMERS);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    }
    for (int c = threadIdx.x; c < OUTPUTS; c += THREADS) {
        table[c / 2 * 4 + c % 2] = scale[c];
        table[c / 2 * 4 + 2 + c % 2] = bias[c];
    }
    __syncthreads();

    const int role = __shfl_sync(0xFFFFFFFFu, threadIdx.x / 128, 0);
    if (role == CONSUMERS) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(CONSUMERS == 2 ? 24 : 32));
        Turn turn;
        if (threadIdx.x == 128 * CONSUMERS) {
            for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
                const unsigned char* from = weight + tile % SIDES * (CHUNKS * TAPS) * LOAD_BYTES;
#pragma unroll 1
                for (int i = 0; i < CHUNKS * TAPS; i++, turn.next(WEIGHTS)) {
                    wait(used + 8 * turn.at, turn.phase ^ 1);
                    expect(known + 8 * turn.at, LOAD_BYTES);
                    fetch(base + WEIGHTS_AT + turn.at * LOAD_BYTES, from + i * LOAD_BYTES, LOAD_BYTES,
                          known + 8 * turn.at);
                }
            }
        } else if (threadIdx.x == 128 * CONSUMERS + 32) {
            for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
                Place place(tile, frames, per_row);
#pragma unroll 1
                for (int chunk = 0; chunk < CHUNKS; chunk++, turn.next(HALOS)) {
                    int t = place.t + chunk / GROUPS - (LONG - 1), c = chunk % GROUPS * GROUP;
                    u32 barrier = filled + 8 * turn.at, to = base + turn.at * HALO_BYTES;
                    wait(emptied + 8 * turn.at, turn.phase ^ 1);
                    expect(barrier, PARTS * BOXES * BOX * PART);
                    for (int p = 0; p < PARTS; p++, to += PART_BYTES, c += PART)
                        for (int b = 0; b < BOXES; b++)
                            if (t < 0)
                                fetch_box(to + b * BOX * PART, &past, c, place.x + b * BOX, place.y,
                                          t + LONG - 1, barrier);
                            else
                                fetch_box(to + b * BOX * PART, &fresh, c, place.x + b * BOX, place.y, t, barrier);
                }
                if (SKIP)
                    for (int r = 0; r < (FLAT ? 1 : min(STRIPS, height - place.y)); r++) {
                        int pixel = (place.y + r + 1) * pitch + place.x + 1;
                        int count = FLAT ? min(STRIPS * ACROSS, end - pixel) : min(ACROSS, width - place.x);
                        const unsigned short* from = skip + ((u64)place.t * (end + pitch) + pixel) * OUTPUTS;
                        if (count > 0)
                            asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from),
                                         "r"(count * OUTPUTS * 2));
                    }
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(CONSUMERS == 2 ? 240 : 160));
        constexpr u32 SWIZZLE = PART == 128 ? 1 : PART == 64 ? 2 : 3;
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
        Sum acc[ROWS][COLUMNS / 2];
        Turn halo, tap;
        bool late = STAGGER > 0 && CONSUMERS == 2;
        if (late && role == 1) asm volatile("bar.sync 1, 256;" ::: "memory");
        for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            const Place place(tile, frames, per_row);
            const u32 corner = (role * ROWS * NEXT + place.phase / 2 * BELOW + place.phase % 2) * PART;
            u32 halo_before = 0, tap_before = 0;
#pragma unroll 1
            for (int chunk = 0; chunk < CHUNKS; chunk++) {
                wait(filled + 8 * halo.at, halo.phase);
                const u32 first = base + halo.at * HALO_BYTES + corner;
#pragma unroll 1
                for (int i = 0; i < TAPS; i++) {
                    wait(known + 8 * tap.at, tap.phase);
                    const u32 weights = base + WEIGHTS_AT + tap.at * LOAD_BYTES;
                    const u32 pixels = first + (i / TALL * BELOW + i % TALL) * PART;
                    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
                    for (int k = 0; k < STEPS; k++) {
                        const u32 step = k * 32 / PART * PART_BYTES + k * 32 % PART;
                        const u64 a = matrix(pixels + step, 0, 8 * PART, SWIZZLE);
                        const u64 b = matrix(weights + k * 2 * COLUMNS * 16, COLUMNS * 16, 128, 0);
#pragma unroll
                        for (int r = 0; r < ROWS; r++) multiply(acc[r], a + r * NEXT * PART / 16, b, chunk + i + k);
                    }
                    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                    until_left<1>();
                    if (chunk + i > 0 && lane == 0) {  // the tap before is done
                        arrive(used + 8 * tap_before);
                        if (i == 0) arrive(emptied + 8 * halo_before);
                    }
                    tap_before = tap.at;
                    tap.next(WEIGHTS);
                    if (late && role == 0 && chunk * TAPS + i == STAGGER) {
                        asm volatile("bar.arrive 1, 256;" ::: "memory");
                        late = false;
                    }
                }
                halo_before = halo.at;
                halo.next(HALOS);
            }
            until_left<0>();
            if (lane == 0) arrive(used + 8 * tap_before), arrive(emptied + 8 * halo_before);

#pragma unroll
            for (int part = 0; part < 2 * ROWS; part++) {  // 8 pixels of a warp
                const int r = part / 2, i = part % 2;
                const int strip = role * ROWS + r, x = place.x + warp * 16 + i * 8 + lane / 4;
                const int pixel = (FLAT ? strip * ACROSS + pitch : (place.y + strip + 1) * pitch) + x + 1;
                bool inside = pixel < end && (FLAT || x < width);
                u64 at = (u64)place.t * (end + pitch) + pixel;
                if (LARGER) {
                    const int above = pixel / pitch - 1, left = pixel % pitch - 1;
                    inside &= left >= 0 && left < width;
                    at = (u64)(place.t * (2 * height + 2) + 2 * above + place.phase / 2 + 1) * (2 * width + 2) +
                         2 * left + place.phase % 2 + 1;
                }
                at = at * OUTPUTS + place.column + lane % 4 * 8;
#pragma unroll
                for (int g = 0; g < COLUMNS / 32; g++) {
                    u32 more[4] = {0, 0, 0, 0}, w[4];
                    if (SKIP) {
                        if (inside) {
                            const uint4 read = __ldg((const uint4*)(skip + at + g * 32));
                            more[0] = read.x, more[1] = read.y, more[2] = read.z, more[3] = read.w;
                        }
                        transpose(more, lane);
                    }
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        const int c = place.column + g * 32 + j * 8 + lane % 4 * 2;
                        const int n = (g * 4 + j) * 4 + i * 2;
                        const float4 unit = read_again(base + TABLE_AT + c * 8);
                        const float low = (float)acc[r][n] * unit.x + unit.z + __uint_as_float(more[j] << 16);
                        const float high =
                            (float)acc[r][n + 1] * unit.y + unit.w + __uint_as_float(more[j] & 0xFFFF0000u);
                        w[j] = pair(low, high);
                    }
                    transpose(w, lane);
                    if (inside) *(uint4*)(out + at + g * 32) = make_uint4(w[0], w[1], w[2], w[3]);
                }
            }
        }
    }
}

#define GIVEN                                                                                                       \
    const __grid_constant__ Map fresh, const __grid_constant__ Map past, const unsigned char *weight,               \
        const float *scale, const float *bias, const unsigned short *skip, unsigned short *out, int frames,         \
        int height, int width

extern "C" __global__ void __launch_bounds__(THREADS, 1) convolution(GIVEN) {
    convolve<false>(fresh, past, weight, scale, bias, skip, out, frames, height, width);
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) convolution_and_sum(GIVEN) {
    convolve<true>(fresh, past, weight, scale, bias, skip, out, frames, height, width);
}
