#include "lab.h"
#include "versions.h"

#include <string.h>

/* MANY pixels at once. f(t) is in 1/5,916,000, t in 1/2^26.49, linear light in 1/2^24, factors of chroma in 1/1024. */
enum { MANY = 256, KNEE = 1224000, SLOPE = 2143158, ONE = 1 << 24, LOW = -335544, HIGH = 18454937 };
enum { WHOLE = 1024, SCAN = 64, REFINEMENT = 32, CURVE_SHIFT = 12 };
/* What lies less than 1/1024 outside fits: L* 0 to 1 is 1/903 of luminance. */
enum { NEAR = 1 << 14 };

typedef struct {
    int32_t lightness[MANY], a[MANY], b[MANY], factor[MANY];
} Colors;
typedef struct {
    int32_t red[MANY], green[MANY], blue[MANY];
} Linear;

/* floor((value + 2^(shift - 1)) / 2^shift), at least -2^28: C leaves it to compilers how negative numbers are shifted. */
INLINE int32_t scaled(int64_t value, int shift) {
    const int32_t above = 1 << 28;
    return (int32_t)((uint64_t)(value + ((int64_t)above << shift) + ((int64_t)1 << (shift - 1))) >> shift) - above;
}

INLINE int32_t ratio(int32_t f) {
    const uint32_t above = (uint32_t)(f > KNEE ? f : KNEE), below = (uint32_t)(f < KNEE ? KNEE - f : 0);
    const uint32_t square = (uint32_t)(((uint64_t)above * above + (1 << 19)) >> 20);
    const uint32_t cube = (uint32_t)(((uint64_t)square * above + (1 << 20)) >> 21);
    return (int32_t)cube - (int32_t)(((uint64_t)SLOPE * below + (1 << 19)) >> 20);
}

INLINE int32_t channel(const int32_t row[3], int32_t x, int32_t y, int32_t z) {
    return scaled((int64_t)row[0] * x + (int64_t)row[1] * y + (int64_t)row[2] * z, 24);
}

/* value * factor / 1024 / 2^shift; whole: factor is 1024. */
INLINE int32_t offset(int32_t value, int32_t factor, int shift, int whole) {
    const int32_t above = 1 << 30;
    if (whole)
        return (int32_t)((uint32_t)(value + above + (1 << (shift - 1))) >> shift) - (above >> shift);
    return scaled((int64_t)value * factor, shift + 10);
}

INLINE void linear_any(const int32_t *given, const Colors *restrict from, int count, int whole, Linear *restrict to) {
    int32_t matrix[9];
    memcpy(matrix, given, sizeof matrix);
    for (int i = 0; i < count; i++) {
        const int32_t f = 4000 * (5 * from->lightness[i] + 204);
        const int32_t x = ratio(f + offset(1479 * from->a[i], from->factor[i], 5, whole)), y = ratio(f);
        const int32_t z = ratio(f - offset(7395 * from->b[i], from->factor[i], 6, whole));
        to->red[i] = channel(matrix, x, y, z);
        to->green[i] = channel(matrix + 3, x, y, z);
        to->blue[i] = channel(matrix + 6, x, y, z);
    }
}

INLINE int32_t clipped(int32_t value) {
    return value < 0 ? 0 : value > ONE ? ONE : value;
}

INLINE int in(int32_t value, int32_t low, int32_t high) {
    return (value >= low) & (value <= high);
}

INLINE int outside_any(const Linear *of, int count, uint8_t *restrict flags) {
    int any = 0;
    for (int i = 0; i < count; i++) {
        flags[i] = !(in(of->red[i], -NEAR, ONE + NEAR) & in(of->green[i], -NEAR, ONE + NEAR) &
                     in(of->blue[i], -NEAR, ONE + NEAR));
        any |= flags[i];
    }
    return any;
}

INLINE void nearest_any(const float *restrict values, int count, int32_t *restrict to) {
    /* Beside 1.5 x 2^23 there is no room for fractions: the sum is rounded, half to even. */
    const float most = (float)LAB_MOST / 256, room = 12582912.0f;
    for (int i = 0; i < count; i++) {
        const float above = values[i] > -most ? values[i] : -most, within = above < most ? above : most;
        to[i] = (int32_t)((float)(within * 256 + room) - room);
    }
}

INLINE void limited_any(const int32_t *restrict values, int count, int32_t *restrict to) {
    for (int i = 0; i < count; i++)
        to[i] = values[i] < -LAB_MOST ? -LAB_MOST : values[i] > LAB_MOST ? LAB_MOST : values[i];
}

INLINE int32_t bounded(int32_t value) {
    return value < 0 ? 0 : value < ONE ? value : ONE - 1;
}

INLINE uint8_t curved(const int32_t *curve, int32_t value) {
    return (uint8_t)((curve[value >> CURVE_SHIFT] + value) >> CURVE_SHIFT);
}

INLINE void curve_any(const int32_t *restrict curve, const Linear *restrict of, int count, uint8_t *restrict rgb) {
    for (int i = 0; i < count; i++) {
        rgb[3 * i] = curved(curve, bounded(of->red[i]));
        rgb[3 * i + 1] = curved(curve, bounded(of->green[i]));
        rgb[3 * i + 2] = curved(curve, bounded(of->blue[i]));
    }
}

typedef void MakeLinear(const int32_t *matrix, const Colors *from, int count, Linear *to);
typedef int FindOutside(const Linear *of, int count, uint8_t *flags);
typedef void Curve(const int32_t *curve, const Linear *of, int count, uint8_t *rgb);
typedef void Nearest(const float *values, int count, int32_t *to);
typedef void Limited(const int32_t *values, int count, int32_t *to);
typedef struct {
    MakeLinear *whole, *parts;
    FindOutside *outside;
    Curve *curve;
    Nearest *nearest;
    Limited *limited;
} Version;

#define VERSION(NAME, TARGET)                                                                                       \
    TARGET static void whole_##NAME(const int32_t *matrix, const Colors *from, int count, Linear *to) {             \
        linear_any(matrix, from, count, 1, to);                                                                     \
    }                                                                                                               \
    TARGET static void parts_##NAME(const int32_t *matrix, const Colors *from, int count, Linear *to) {             \
        linear_any(matrix, from, count, 0, to);                                                                     \
    }                                                                                                               \
    TARGET static int outside_##NAME(const Linear *of, int count, uint8_t *flags) {                                 \
        return outside_any(of, count, flags);                                                                       \
    }                                                                                                               \
    TARGET static void curve_##NAME(const int32_t *curve, const Linear *of, int count, uint8_t *rgb) {              \
        curve_any(curve, of, count, rgb);                                                                           \
    }                                                                                                               \
    TARGET static void nearest_##NAME(const float *values, int count, int32_t *to) {                                \
        nearest_any(values, count, to);                                                                             \
    }                                                                                                               \
    TARGET static void limited_##NAME(const int32_t *values, int count, int32_t *to) {                              \
        limited_any(values, count, to);                                                                             \
    }                                                                                                               \
    static const Version NAME = {whole_##NAME, parts_##NAME, outside_##NAME,                          \
                                 curve_##NAME, nearest_##NAME, limited_##NAME};

VERSION(plain, )
#if HAS_AVX2
VERSION(avx2, AVX2)
#endif

static const Version *chosen(int version) {
#if HAS_AVX2
    if (version == 1)
        return &avx2;
#else
    (void)version;
#endif
    return &plain;
}

/* Whether clipping is enough. */
static int fits(const LabTables *tables, const Colors *colors, const Linear *linear, int i) {
    const int32_t red = linear->red[i], green = linear->green[i], blue = linear->blue[i];
    const int32_t *luminance = tables->luminance + 2 * colors->lightness[i];
    const int64_t clip = (int64_t)2126 * clipped(red) + (int64_t)7152 * clipped(green) + (int64_t)722 * clipped(blue);
    return in(red, LOW, HIGH) & in(green, LOW, HIGH) & in(blue, LOW, HIGH) & (clip >= (int64_t)10000 * luminance[0]) &
           (clip <= (int64_t)10000 * luminance[1]);
}

static void copy_color(const Colors *from, int i, Colors *to, int k) {
    to->lightness[k] = from->lightness[i], to->a[k] = from->a[i], to->b[k] = from->b[i];
}

/* The colours at `places` have no factor yet with which they fit: the greatest is looked for, for all of them at once. */
static void reduce(const Version *version, const LabTables *tables, const Colors *colors, int *places, int count,
                   Linear *linear) {
    Colors found, left;
    Linear tried;
    int at[MANY], done = 0;
    for (int k = 0; k < count; k++)
        copy_color(colors, places[k], &left, k);
    for (int factor = WHOLE - SCAN; count > 0; factor -= SCAN) {
        int kept = 0;
        for (int k = 0; k < count; k++)
            left.factor[k] = factor;
        version->parts(tables->matrix, &left, count, &tried);
        for (int k = 0; k < count; k++)
            if (factor == 0 || fits(tables, &left, &tried, k)) {
                copy_color(&left, k, &found, done);
                found.factor[done] = factor;
                at[done++] = places[k];
            } else {
                copy_color(&left, k, &left, kept);
                places[kept++] = places[k];
            }
        count = kept;
    }
    for (int step = REFINEMENT; step > 0; step /= 2) {
        for (int k = 0; k < done; k++)
            found.factor[k] += step;
        version->parts(tables->matrix, &found, done, &tried);
        for (int k = 0; k < done; k++)
            if (!fits(tables, &found, &tried, k))
                found.factor[k] -= step;
    }
    version->parts(tables->matrix, &found, done, &tried);
    for (int k = 0; k < done; k++) {
        linear->red[at[k]] = tried.red[k];
        linear->green[at[k]] = tried.green[k];
        linear->blue[at[k]] = tried.blue[k];
    }
}

/* Up to MANY pixels, whose a* and b* are there already. */
static void paint(const Version *version, const LabTables *tables, const uint8_t *lightness, Colors *colors, int count,
                  uint8_t *rgb) {
    Linear linear;
    uint8_t flags[MANY];
    for (int i = 0; i < count; i++)
        colors->lightness[i] = lightness[i];
    version->whole(tables->matrix, colors, count, &linear);
    if (version->outside(&linear, count, flags)) {
        int places[MANY], far = 0;
        for (int i = 0; i < count; i++)
            if (flags[i] && !fits(tables, colors, &linear, i))
                places[far++] = i;
        if (far)
            reduce(version, tables, colors, places, far, &linear);
    }
    version->curve(tables->curve, &linear, count, rgb);
}

static int part(ptrdiff_t left) {
    return left < MANY ? (int)left : MANY;
}

void lab_to_rgb(const LabTables *tables, const uint8_t *lightness, const int32_t *a, const int32_t *b, ptrdiff_t count,
                uint8_t *rgb, int version) {
    Colors colors;
    for (ptrdiff_t x = 0; x < count; x += MANY) {
        const int pixels = part(count - x);
        chosen(version)->limited(a + x, pixels, colors.a);
        chosen(version)->limited(b + x, pixels, colors.b);
        paint(chosen(version), tables, lightness + x, &colors, pixels, rgb + 3 * x);
    }
}

void lab_floats_to_rgb(const LabTables *tables, const uint8_t *lightness, const float *a, const float *b, ptrdiff_t count,
                       uint8_t *rgb, int version) {
    Colors colors;
    for (ptrdiff_t x = 0; x < count; x += MANY) {
        const int pixels = part(count - x);
        chosen(version)->nearest(a + x, pixels, colors.a);
        chosen(version)->nearest(b + x, pixels, colors.b);
        paint(chosen(version), tables, lightness + x, &colors, pixels, rgb + 3 * x);
    }
}

enum { FINE_SHIFT = 16, FINE_MOST = (1 << 28) - 1 };

void rgb_to_lightness(const int32_t *luminance, const int32_t *curve, const uint8_t *rgb, ptrdiff_t count, uint8_t *lightness) {
    const int32_t *red = luminance, *green = luminance + 256, *blue = luminance + 512;
    for (ptrdiff_t x = 0; x < count; x++, rgb += 3) {
        const int32_t sum = red[rgb[0]] + green[rgb[1]] + blue[rgb[2]], y = sum < FINE_MOST ? sum : FINE_MOST;
        lightness[x] = (uint8_t)((curve[y >> FINE_SHIFT] + y) >> FINE_SHIFT);
    }
}

/* Between two roots the straight line. */
INLINE int32_t root(const int32_t *roots, int32_t sum) {
    const int32_t t = sum < FINE_MOST ? sum : FINE_MOST, *from = roots + (t >> FINE_SHIFT);
    return from[0] + (((from[1] - from[0]) * (t & ((1 << FINE_SHIFT) - 1))) >> FINE_SHIFT);
}

void rgb_to_sums(const int32_t *ratios, const int32_t *roots, const uint8_t *rgb, ptrdiff_t stride, ptrdiff_t rows,
                 ptrdiff_t width, ptrdiff_t spacing, int64_t *across, int64_t *along) {
    for (ptrdiff_t left = 0; left < width; left += spacing) {
        const ptrdiff_t columns = width - left < spacing ? width - left : spacing;
        int64_t first = 0, second = 0;
        for (ptrdiff_t y = 0; y < rows; y++) {
            const uint8_t *pixel = rgb + y * stride + 3 * left;
            for (ptrdiff_t x = 0; x < columns; x++, pixel += 3) {
                const int32_t *red = ratios + 4 * pixel[0], *green = ratios + 4 * (256 + pixel[1]);
                const int32_t *blue = ratios + 4 * (512 + pixel[2]);
                const int32_t middle = root(roots, red[1] + green[1] + blue[1]);
                first += root(roots, red[0] + green[0] + blue[0]) - middle;
                second += middle - root(roots, red[2] + green[2] + blue[2]);
            }
        }
        *across++ = first, *along++ = second;
    }
}
