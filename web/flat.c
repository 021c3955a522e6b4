/* The package's kernels as functions of numbers and addresses, for JavaScript; and memory for them. All versions are the
   fastest, all bands whole. What the headers of crayoncodec/machine ask of callers is asked of callers here. */
#include "kernels.h"
#include "lab.h"
#include "levels.h"
#include "ranges.h"
#include "refine.h"

#include <string.h>

#define EXPORT(NAME) __attribute__((export_name(NAME)))

/* ---- memory: what is taken lies above what was taken before, and is given back by going back */

enum { ALIGNMENT = 32, PAGE = 1 << 16 };

extern uint8_t __heap_base;
static uint8_t *top = &__heap_base;

EXPORT("mark") uint8_t *mark(void) {
    return top;
}

EXPORT("release") void release(uint8_t *to) {
    top = to;
}

/* NULL where there is not so much. */
EXPORT("take") uint8_t *take(size_t size) {
    const uint64_t start = ((uint64_t)(uintptr_t)top + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, end = start + size;
    const uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end >> 32)
        return NULL;
    if (end > have && __builtin_wasm_memory_grow(0, (size_t)((end - have + PAGE - 1) / PAGE)) == (size_t)-1)
        return NULL;
    top = (uint8_t *)(uintptr_t)end;
    return (uint8_t *)(uintptr_t)start;
}

/* ---- layers */

static Planes given_planes[3];

EXPORT("layer") Convolution *layer(const int16_t *weights, const int16_t *tiled, const int32_t *bias, const uint8_t *shift,
                                   int side, int inputs, int outputs) {
    Convolution *made = (Convolution *)take(2 * sizeof *made);
    if (made)
        *made = (Convolution){weights, tiled, bias, shift, side, inputs, outputs};
    return made;
}

/* The planes, first, second, ..., that the next layers are of; not folded ones pixel by pixel or plane by plane. */
EXPORT("give") void give(int k, const uint8_t *data, int channels, int is_signed, int interleaved, int folded) {
    given_planes[k] = (Planes){data, channels, is_signed, interleaved, folded};
}

EXPORT("convolve") int convolve(const Convolution *by, int count, int height, int width, int half, void *out,
                                const uint8_t *added, int kind, int channels) {
    uint8_t *const before = mark(), *const scratch = take(convolve_scratch(by));
    if (!scratch)
        return 0;
    const Work work = {by, 1, given_planes, count, height, width, 0, height, half};
    const Output to = {out, added, kind, channels, height, 0};
    convolve_rows(&work, &to, scratch, best_version());
    release(before);
    return 1;
}

/* last: NULL for one layer. */
EXPORT("head") int head(const Convolution *first, const Convolution *last, int count, int height, int width, int half,
                        int16_t *shifts, uint8_t *spreads, int largest_shift) {
    const Convolution layers[] = {*first, last ? *last : *first};
    const int depth = last ? 2 : 1;
    uint8_t *const before = mark(), *const scratch = take(head_scratch(layers, depth));
    if (!scratch)
        return 0;
    const Work work = {layers, depth, given_planes, count, height, width, 0, height, half};
    const Head to = {shifts, spreads, largest_shift, SPREADS - 1};
    head_rows(&work, &to, scratch, best_version());
    release(before);
    return 1;
}

/* ---- levels */

EXPORT("halve") void halve(const void *sums, const uint8_t *low, const uint8_t *high, int height, int width, int from, int to,
                           int shift, void *new_sums, uint8_t *new_low, uint8_t *new_high, int16_t *means, int16_t *ranges) {
    const Halving it = {sums, low, high, height, width, from, to, shift, new_sums, new_low, new_high, means, ranges};
    halve_rows(&it, 0, (height + 1) / 2, best_version());
}

EXPORT("prepare") void prepare(const int32_t *parents, const int16_t *symbols, const int16_t *coarse, const int16_t *fine,
                               const int16_t *ranges, const int16_t *finer, int height, int width, int rows, int columns,
                               int finer_rows, int finer_columns, int step, int loudness, int octave, int32_t *guided,
                               int8_t *features) {
    const Level level = {
        parents, symbols, coarse, fine, ranges, finer, height, width, rows, columns, finer_rows, finer_columns, step,
        (int8_t)loudness, (int8_t)octave, guided, features,
    };
    prepare_rows(&level, 0, height, best_version());
}

EXPORT("settle") void settle(int height, int width, int rows, int columns, int step, int16_t *symbols, int16_t *shifts, int half,
                             int plane, const int16_t *new_symbols, const int16_t *new_shifts, int8_t *known, int8_t *own) {
    const Details details = {height, width, rows, columns, step, NULL, NULL, symbols, shifts};
    settle_rows(&details, half, plane, new_symbols, new_shifts, known, own, 0, height);
}

EXPORT("children") void children(int height, int width, int rows, int columns, int step, const int32_t *parents,
                                 const int32_t *guided, int16_t *symbols, int16_t *shifts, int most, int32_t *cells) {
    const Details details = {height, width, rows, columns, step, parents, guided, symbols, shifts};
    children_rows(&details, most, cells, 0, height, best_version());
}

EXPORT("turn") void turn(const int32_t *cells, int cosine, int sine, int16_t *samples, int size) {
    turn_cells(cells, cosine, sine, samples, size, 0, size, best_version());
}

/* ---- what is shown; cells of rows top to bottom */

EXPORT("given") void given(const int32_t *parents, const int16_t *coarse, const int16_t *fine, int height, int width, int rows,
                           int columns, int loudness, int octave, int8_t *planes, int filled, int across, int first, int last) {
    const Given it = {
        {parents, coarse, fine, height, width, rows, columns}, (int8_t)loudness, (int8_t)octave, planes, first, filled, across,
    };
    given_rows(&it, first, last, best_version());
}

EXPORT("continued") void continued(const int32_t *parents, const int16_t *coarse, const int16_t *fine, int height, int width,
                                   int rows, int columns, const int32_t *added, const uint16_t *gate, int added_first,
                                   int added_rows, int across, int most, int32_t *cells, int first, int cell_rows, int last) {
    const Continued it = {
        {parents, coarse, fine, height, width, rows, columns}, added, gate, added_first, added_rows, across, most, cells, first,
        cell_rows,
    };
    continued_rows(&it, first, last, best_version());
}

EXPORT("texture") void texture(const int16_t *coarse, const int16_t *fine, int height, int width, int rows, int columns,
                               int32_t *sums) {
    const Parents from = {NULL, coarse, fine, height, width, rows, columns};
    texture_rows(&from, sums, 0, height, best_version());
}

/* ---- colours and planes */

EXPORT("lab_to_rgb") void to_rgb(const int32_t *matrix, const int32_t *curve, const int32_t *luminance, const uint8_t *lightness,
                                 const int32_t *a, const int32_t *b, int count, uint8_t *rgb) {
    const LabTables tables = {matrix, curve, luminance};
    lab_to_rgb(&tables, lightness, a, b, count, rgb, best_version());
}

EXPORT("lab_floats_to_rgb") void floats_to_rgb(const int32_t *matrix, const int32_t *curve, const int32_t *luminance,
                                               const uint8_t *lightness, const float *a, const float *b, int count,
                                               uint8_t *rgb) {
    const LabTables tables = {matrix, curve, luminance};
    lab_floats_to_rgb(&tables, lightness, a, b, count, rgb, best_version());
}

EXPORT("restore_u8") void restore_bytes(const int32_t *residual, uint8_t *plane, int height, int width) {
    restore_u8(residual, plane, height, width);
}

EXPORT("restore_i16") void restore_words(const int32_t *residual, int16_t *plane, int height, int width) {
    restore_i16(residual, plane, height, width);
}

/* ---- range-coded data */

static Alphabets alphabets;
static RangeDecoder decoder;

EXPORT("alphabets") void learn(const uint32_t *frequencies) {
    make_alphabets(frequencies, &alphabets);
}

EXPORT("begin") void begin(const uint8_t *data, size_t size) {
    begin_ranges(&decoder, data, size);
}

/* 1, or 0 for data that are damaged, or -1 without memory. */
EXPORT("symbols") int symbols_of(uint8_t *spreads, const uint8_t *mask, int size, int offset, int16_t *symbols) {
    uint8_t *const before = mark();
    uint32_t *const positions = (uint32_t *)take(4 * (size_t)size);
    int16_t *const found = (int16_t *)take(2 * (size_t)size);
    if (!positions || !found)
        return -1;
    const int whole = decode_symbols(&decoder, &alphabets, spreads, mask, size, offset, positions, found, symbols);
    release(before);
    return whole;
}
