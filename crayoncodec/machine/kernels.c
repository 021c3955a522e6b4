#include "kernels.h"
#include "rows.h"
#include "versions.h"

#include <string.h>

enum { STRIP = 96, TILES = 12, LEAST_TILED = 512 };

/* Row y of all planes, columns left - border to right + border, pixel by pixel; zeros beyond the picture. */
INLINE void interleave(const Work *work, int y, int left, int right, int16_t *restrict row) {
    const Planes *planes = work->planes;
    const int border = work->layers->side / 2, inputs = work->layers->inputs, height = work->height, width = work->width;
    const int first = left - border < 0 ? 0 : left - border, last = right + border > width ? width : right + border;
    const int length = last - first;
    int channel = 0;
    if (y < 0 || y >= height || first > left - border || last < right + border)
        memset(row, 0, (size_t)(right - left + 2 * border) * inputs * sizeof *row);
    if (y < 0 || y >= height)
        return;
    int16_t *restrict start = row + (size_t)(first - left + border) * inputs;
    for (int k = 0; k < work->count; k++) {
        const int channels = planes[k].channels;
        if (planes[k].folded) {
            const int half = channels / 2;
            const uint8_t *restrict above = planes[k].data + ((size_t)2 * y * width + first) * half;
            const uint8_t *restrict below = above + (size_t)width * half;
            int16_t *restrict to = start + channel;
            for (int x = 0; x < length; x++, to += inputs)
                for (int c = 0; c < half; c++) {
                    to[c] = above[(size_t)x * half + c];
                    to[half + c] = below[(size_t)x * half + c];
                }
        } else if (planes[k].interleaved) {
            const uint8_t *restrict given = planes[k].data + ((size_t)y * width + first) * channels;
            const int whole = channels == inputs, times = whole ? 1 : length, run = whole ? length * inputs : channels;
            for (int x = 0; x < times; x++)
                for (int c = 0; c < run; c++) {
                    const uint8_t value = given[(size_t)x * channels + c];
                    start[(size_t)x * inputs + channel + c] = planes[k].is_signed ? (int8_t)value : value;
                }
        } else
            for (int c = 0; c < channels; c++) {
                const uint8_t *restrict given = planes[k].data + ((size_t)c * height + y) * width + first;
                int16_t *restrict to = start + channel + c;
                if (planes[k].is_signed)
                    for (int x = 0; x < length; x++)
                        to[(size_t)x * inputs] = (int8_t)given[x];
                else
                    for (int x = 0; x < length; x++)
                        to[(size_t)x * inputs] = given[x];
            }
        channel += channels;
    }
    for (; channel < inputs; channel++)
        for (int x = 0; x < length; x++)
            start[(size_t)x * inputs + channel] = 0;
}

size_t convolve_scratch(const Convolution *layer) {
    const size_t inputs = layer->inputs, outputs = layer->outputs;
    const size_t direct = layer->side * (STRIP + 2) * inputs * sizeof(int16_t) + STRIP * outputs * sizeof(int32_t);
    const size_t tiled = (8 * (2 * TILES + 2) + 16 * TILES) * inputs * sizeof(int16_t) +
                         (16 + 4) * TILES * outputs * sizeof(int32_t) + 2 * outputs * sizeof(int32_t);
    return direct > tiled ? direct : tiled;
}

/* Of numbers below 0 the clamp makes 0, so they need no shift. */
INLINE int32_t clamped(int32_t sum, int shift) {
    const int32_t value = (sum < 0 ? 0 : sum) >> shift;
    return value > 255 ? 255 : value;
}

/* Pixels x, x + by, ... of row y. */
INLINE void put(const Convolution *layer, const int32_t *restrict sums, const Output *out, int width, int y, int x, int by,
                int pixels) {
    const int outputs = layer->outputs, shown = out->channels;
    const size_t row = (size_t)(y - out->top);
    if (out->added || out->kind == UNFOLDED) {
        /* Runs of what lies together. */
        const int runs = out->kind == UNFOLDED ? 2 : 1, run = shown / runs;
        for (int r = 0; r < runs; r++) {
            const size_t at = (((size_t)runs * row + r) * width + x) * run;
            uint8_t *restrict to = (uint8_t *)out->data + at;
            const uint8_t *restrict added = out->added ? out->added + at : NULL;
            const uint8_t *restrict shift = layer->shift + r * run;
            const int32_t *restrict own = sums + r * run;
            for (int p = 0; p < pixels; p++, to += (size_t)by * run, own += outputs) {
                for (int o = 0; o < run; o++) {
                    const int32_t value = (own[o] >> shift[o]) + (added ? added[(size_t)p * by * run + o] : 0);
                    to[o] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
                }
            }
        }
        return;
    }
    if (out->kind == INTERLEAVED) {
        uint8_t *restrict to = (uint8_t *)out->data + (row * width + x) * shown;
        const uint8_t *restrict shift = layer->shift;
        for (int p = 0; p < pixels; p++, to += (size_t)by * shown, sums += outputs)
            for (int o = 0; o < shown; o++)
                to[o] = (uint8_t)clamped(sums[o], shift[o]);
        return;
    }
    for (int o = 0; o < shown; o++) {
        const int shift = layer->shift[o];
        const size_t at = ((size_t)o * out->rows + row) * width + x;
        if (out->kind == BYTES)
            for (int p = 0; p < pixels; p++)
                ((uint8_t *)out->data)[at + (size_t)p * by] = (uint8_t)clamped(sums[(size_t)p * outputs + o], shift);
        else
            for (int p = 0; p < pixels; p++)
                ((int32_t *)out->data)[at + (size_t)p * by] = sums[(size_t)p * outputs + o] >> shift;
    }
}

/* One dimension of four rows' or columns' inputs, for both outputs. */
INLINE void transform(const int16_t *restrict d0, const int16_t *restrict d1, const int16_t *restrict d2,
                      const int16_t *restrict d3, ptrdiff_t count, int16_t *restrict t0, int16_t *restrict t1,
                      int16_t *restrict t2, int16_t *restrict t3) {
    for (ptrdiff_t c = 0; c < count; c++) {
        t0[c] = (int16_t)(d0[c] - d2[c]);
        t1[c] = (int16_t)(d1[c] + d2[c]);
        t2[c] = (int16_t)(d2[c] - d1[c]);
        t3[c] = (int16_t)(d1[c] - d3[c]);
    }
}

/* Four outputs of 16 products, `product` apart: both columns of the row above and of the row below. */
INLINE void untransform(const uint32_t *restrict m, size_t product, int outputs, int32_t *restrict above0,
                        int32_t *restrict above1, int32_t *restrict below0, int32_t *restrict below1) {
    const uint32_t *restrict m1 = m + 4 * product, *restrict m2 = m + 8 * product, *restrict m3 = m + 12 * product;
    for (int o = 0; o < outputs; o++) {
#define ABOVE(k) (m[k * product + o] + m1[k * product + o] + m2[k * product + o])
#define BELOW(k) (m1[k * product + o] - m2[k * product + o] - m3[k * product + o])
        const uint32_t a1 = ABOVE(1), a2 = ABOVE(2), b1 = BELOW(1), b2 = BELOW(2);
        above0[o] = (int32_t)(ABOVE(0) + a1 + a2) >> 2;
        above1[o] = (int32_t)(a1 - a2 - ABOVE(3)) >> 2;
        below0[o] = (int32_t)(BELOW(0) + b1 + b2) >> 2;
        below1[o] = (int32_t)(b1 - b2 - BELOW(3)) >> 2;
#undef ABOVE
#undef BELOW
    }
}

/* Side 3, two rows by two columns of outputs from 16 products instead of 36 (Winograd's minimal filtering; Lavin and Gray, "Fast
   Algorithms for Convolutional Neural Networks", CVPR 2016). Transformed weights are four times theirs, whole numbers, so
   nothing is rounded: the sums, which wrap around in between, are four times those of the definition. What is moved besides
   costs less than the products that are saved where a layer has LEAST_TILED weights of each of the nine. */
INLINE void convolve_tiles(const Work *work, const Output *out, void *scratch, Row *row) {
    const Convolution *layer = work->layers;
    const int inputs = layer->inputs, outputs = layer->outputs, width = work->width;
    const size_t row_size = (size_t)(2 * TILES + 2) * inputs, product = (size_t)TILES * outputs,
                 apart = (size_t)TILES * inputs;
    int32_t *none = scratch, *bias = none + outputs, *products = bias + outputs, *sums = products + 16 * product;
    int16_t *ring = (int16_t *)(sums + 4 * product), *down = ring + 4 * row_size, *given = down + 4 * row_size;
    memset(none, 0, (size_t)outputs * sizeof *none);
    for (int o = 0; o < outputs; o++)
        bias[o] = 4 * layer->bias[o];
    for (int left = 0; left < width; left += 2 * TILES) {
        const int pixels = width - left < 2 * TILES ? width - left : 2 * TILES, tiles = (pixels + 1) / 2;
        for (int y = work->top; y < work->bottom; y += 2) {
            for (int k = y == work->top ? -1 : 1; k < 3; k++)
                interleave(work, y + k, left, left + 2 * tiles, ring + (size_t)((y + k + 4) % 4) * row_size);
            const int16_t *rows[4];
            for (int k = 0; k < 4; k++)
                rows[k] = ring + (size_t)((y + k + 3) % 4) * row_size;
            transform(rows[0], rows[1], rows[2], rows[3], (ptrdiff_t)(2 * tiles + 2) * inputs, down, down + row_size,
                      down + 2 * row_size, down + 3 * row_size);
            for (int k = 0; k < 4; k++)
                for (int t = 0; t < tiles; t++) {
                    const int16_t *d = down + k * row_size + (size_t)2 * t * inputs;
                    int16_t *to = given + ((size_t)4 * k * TILES + t) * inputs;
                    transform(d, d + inputs, d + 2 * inputs, d + 3 * inputs, inputs, to, to + apart, to + 2 * apart,
                              to + 3 * apart);
                }
            for (int k = 0; k < 16; k++) {
                /* The middle one is in all four sums, so that it brings the bias. */
                const Convolution part = {
                    .weights = layer->tiled + (size_t)k * inputs * outputs, .bias = k == 5 ? bias : none,
                    .side = 1, .inputs = inputs, .outputs = outputs,
                };
                rows[0] = given + k * apart;
                row(&part, rows, tiles, inputs, products + k * product);
            }
            for (int t = 0; t < tiles; t++) {
                int32_t *above = sums + (size_t)2 * t * outputs, *below = above + 2 * product;
                untransform((const uint32_t *)products + (size_t)t * outputs, product, outputs, above, above + outputs, below,
                            below + outputs);
            }
            for (int k = 0; k < 2 && y + k < work->bottom; k++)
                put(layer, sums + 2 * k * product, out, width, y + k, left, 1, pixels);
        }
    }
}

INLINE void convolve(const Work *work, const Output *out, void *scratch, int version) {
    Row *const row = row_of(version);
    if (version > 0 && work->layers->side == 3 && work->half < 0 &&
        work->layers->inputs * work->layers->outputs >= LEAST_TILED) {
        convolve_tiles(work, out, scratch, row);
        return;
    }
    const Convolution *layer = work->layers;
    const int side = layer->side, border = side / 2, width = work->width, by = work->half < 0 ? 1 : 2;
    const size_t row_size = (size_t)(STRIP + 2) * layer->inputs;
    int32_t *sums = scratch;
    int16_t *ring = (int16_t *)(sums + (size_t)STRIP * layer->outputs);
    for (int left = 0; left < width; left += STRIP) {
        const int right = left + STRIP < width ? left + STRIP : width;
        for (int y = work->top - border; y < work->top + border; y++)
            interleave(work, y, left, right, ring + (size_t)((y + side) % side) * row_size);
        for (int y = work->top; y < work->bottom; y++) {
            const int16_t *rows[3];
            const int first = work->half < 0 ? 0 : (work->half + left + y) % 2, pixels = (right - left - first + by - 1) / by;
            interleave(work, y + border, left, right, ring + (size_t)((y + border + side) % side) * row_size);
            for (int k = 0; k < side; k++)
                rows[k] = ring + (size_t)((y - border + k + side) % side) * row_size + (size_t)first * layer->inputs;
            row(layer, rows, pixels, by * layer->inputs, sums);
            put(layer, sums, out, width, y, left + first, by, pixels);
        }
    }
}

size_t head_scratch(const Convolution *layers, int depth) {
    size_t size = convolve_scratch(layers);
    if (depth > 1)
        size += STRIP * ((size_t)layers[0].outputs * sizeof(int16_t) + (size_t)layers[1].outputs * sizeof(int32_t));
    return size;
}

INLINE int32_t within(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

INLINE void head(const Work *work, const Head *out, void *scratch, int version) {
    Row *const row = row_of(version);
    const Convolution *first = work->layers, *last = &work->layers[work->depth - 1];
    const int width = work->width, between = first->outputs;
    int32_t *sums = scratch, *end = sums;
    int16_t *given = (int16_t *)(sums + (size_t)STRIP * between), *hidden = given + (size_t)(STRIP + 2) * first->inputs;
    if (work->depth > 1)
        end = (int32_t *)(hidden + (size_t)STRIP * between);
    for (int y = work->top; y < work->bottom; y++)
        for (int left = 0; left < width; left += STRIP) {
            const int right = left + STRIP < width ? left + STRIP : width;
            const int start = (work->half + left + y) % 2, pixels = (right - left - start + 1) / 2;
            const int16_t *rows[1] = {given + (size_t)start * first->inputs};
            interleave(work, y, left, right, given);
            row(first, rows, pixels, 2 * first->inputs, sums);
            if (work->depth > 1) {
                for (int p = 0; p < pixels; p++)
                    for (int o = 0; o < between; o++)
                        hidden[(size_t)p * between + o] = (int16_t)clamped(sums[(size_t)p * between + o], first->shift[o]);
                rows[0] = hidden;
                row(last, rows, pixels, between, end);
            }
            for (int d = 0; d < 3; d++) {
                const size_t at = ((size_t)d * work->height + y) * width + left + start;
                for (int p = 0; p < pixels; p++) {
                    const int32_t *found = end + (size_t)p * last->outputs + d;
                    out->shifts[at + 2 * p] =
                        (int16_t)within(found[0] >> last->shift[d], -out->largest_shift, out->largest_shift);
                    out->spreads[at + 2 * p] = (uint8_t)within(found[3] >> last->shift[d + 3], 0, out->largest_spread);
                }
            }
        }
}

VERSIONS(convolve_rows, (const Work *work, const Output *out, void *scratch, int version), (work, out, scratch, version),
         convolve)
VERSIONS(head_rows, (const Work *work, const Head *out, void *scratch, int version), (work, out, scratch, version), head)

static int32_t median_edge(int32_t left, int32_t above, int32_t corner) {
    const int32_t low = left < above ? left : above, high = left < above ? above : left;
    const int32_t plane = left + above - corner;
    return plane < low ? low : plane > high ? high : plane;
}

#define RESTORE(NAME, TYPE, UNSIGNED)                                                                               \
    void NAME(const int32_t *residual, TYPE *plane, ptrdiff_t height, ptrdiff_t width) {                            \
        for (ptrdiff_t y = 0; y < height; y++) {                                                                    \
            const int32_t *given = residual + y * width;                                                            \
            TYPE *row = plane + y * width;                                                                          \
            const TYPE *above = row - width;                                                                        \
            int32_t left = 0, corner = 0;                                                                           \
            for (ptrdiff_t x = 0; x < width; x++) {                                                                 \
                const int32_t up = y ? above[x] : 0;                                                                \
                left = (TYPE)(UNSIGNED)((uint32_t)given[x] + (uint32_t)median_edge(left, up, corner));              \
                corner = up;                                                                                        \
                row[x] = (TYPE)left;                                                                                \
            }                                                                                                       \
        }                                                                                                           \
    }

RESTORE(restore_u8, uint8_t, uint8_t)
RESTORE(restore_i16, int16_t, uint16_t)
