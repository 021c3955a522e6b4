#include "levels.h"

#include "guided.h"

/* ---- lightness */

#define HALVE(NAME, FROM, TO)                                                                                       \
    INLINE void NAME(const Halving *it, ptrdiff_t top, ptrdiff_t bottom) {                                          \
        const ptrdiff_t width = it->width, columns = (width + 1) / 2, whole = width / 2;                            \
        const int up = it->shift < 0 ? -it->shift : 0, down = it->shift > 0 ? it->shift : 0;                        \
        const TO rounding = down ? (TO)((TO)1 << (down - 1)) : 0;                                                   \
        for (ptrdiff_t y = top; y < bottom; y++) {                                                                  \
            const ptrdiff_t first = 2 * y * width, second = least(2 * y + 1, it->height - 1) * width;               \
            const FROM *restrict above = (const FROM *)it->sums + first;                                            \
            const FROM *restrict below = (const FROM *)it->sums + second;                                           \
            TO *restrict sums = (TO *)it->new_sums + y * columns;                                                   \
            uint8_t *restrict low = it->new_low + y * columns, *restrict high = it->new_high + y * columns;         \
            int16_t *restrict means = it->means + y * columns, *restrict ranges = it->ranges + y * columns;         \
            for (ptrdiff_t x = 0; x < whole; x++)                                                                   \
                sums[x] = (TO)(above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1]);                  \
            for (ptrdiff_t x = 0; x < whole; x++)                                                                   \
                low[x] = lower(lower(it->low[first + 2 * x], it->low[first + 2 * x + 1]),                           \
                               lower(it->low[second + 2 * x], it->low[second + 2 * x + 1]));                        \
            for (ptrdiff_t x = 0; x < whole; x++)                                                                   \
                high[x] = higher(higher(it->high[first + 2 * x], it->high[first + 2 * x + 1]),                      \
                                 higher(it->high[second + 2 * x], it->high[second + 2 * x + 1]));                   \
            if (whole < columns) {                                                                                  \
                sums[whole] = (TO)(2 * (above[2 * whole] + below[2 * whole]));                                      \
                low[whole] = lower(it->low[first + 2 * whole], it->low[second + 2 * whole]);                        \
                high[whole] = higher(it->high[first + 2 * whole], it->high[second + 2 * whole]);                    \
            }                                                                                                       \
            for (ptrdiff_t x = 0; x < columns; x++)                                                                 \
                means[x] = (int16_t)(((sums[x] << up) + rounding) >> down);                                         \
            for (ptrdiff_t x = 0; x < columns; x++)                                                                 \
                ranges[x] = (int16_t)(high[x] - low[x]);                                                            \
        }                                                                                                           \
    }

INLINE uint8_t lower(uint8_t one, uint8_t other) {
    return one < other ? one : other;
}

INLINE uint8_t higher(uint8_t one, uint8_t other) {
    return one > other ? one : other;
}

HALVE(halve_1_2, uint8_t, uint16_t)
HALVE(halve_2_2, uint16_t, uint16_t)
HALVE(halve_2_8, uint16_t, int64_t)
HALVE(halve_8_8, int64_t, int64_t)

int can_halve(int from, int to) {
    return (from == 1 && to == 2) || (from == 2 && (to == 2 || to == 8)) || (from == 8 && to == 8);
}

INLINE void halve(const Halving *it, ptrdiff_t top, ptrdiff_t bottom, int version) {
    (void)version;
    if (it->from == 1)
        halve_1_2(it, top, bottom);
    else if (it->to == 2)
        halve_2_2(it, top, bottom);
    else if (it->from == 2)
        halve_2_8(it, top, bottom);
    else
        halve_8_8(it, top, bottom);
}

/* ---- what a level is predicted from */

/* Numbers of twice the bits, in memory first the one, then the other. */
#define PAIRS(NAME, HALF, WHOLE)                                                                                    \
    INLINE void NAME(const HALF *restrict one, const HALF *restrict other, WHOLE *restrict to) {                    \
        const union {                                                                                               \
            uint16_t number;                                                                                        \
            uint8_t bytes[2];                                                                                       \
        } order = {1};                                                                                              \
        const int up = order.bytes[0] ? 0 : 8 * (int)sizeof(HALF), down = 8 * (int)sizeof(HALF) - up;               \
        for (int x = 0; x < STRIP; x++)                                                                             \
            to[x] = (WHOLE)((WHOLE)one[x] << up | (WHOLE)other[x] << down);                                         \
    }

PAIRS(pairs_8, uint8_t, uint16_t)
PAIRS(pairs_16, uint16_t, uint32_t)

/* Planes, one more than are meant, pixel by pixel: four bytes at once, of the last four one too many, which the next pixel
   overwrites. */
INLINE void interleave(int8_t planes[FEATURES + 1][STRIP], ptrdiff_t count, int8_t *restrict to) {
    enum { FOURS = (FEATURES + 1) / 4 };
    _Static_assert(FEATURES % 4 == 3, "the last four bytes have one too many");
    uint32_t fours[FOURS][STRIP];
    for (int k = 0; k < FOURS; k++) {
        uint16_t twos[2][STRIP];
        for (int i = 0; i < 2; i++)
            pairs_8((const uint8_t *)planes[4 * k + 2 * i], (const uint8_t *)planes[4 * k + 2 * i + 1], twos[i]);
        pairs_16(twos[0], twos[1], fours[k]);
    }
    for (ptrdiff_t x = 0; x < count; x++) {
        int8_t *own = to + x * FEATURES;
        for (int k = 0; k < FOURS - 1; k++)
            memcpy(own + 4 * k, &fours[k][x], 4);
        memcpy(own + 4 * (FOURS - 1), &fours[FOURS - 1][x], x < count - 1 ? 4 : FEATURES % 4);
    }
}

INLINE void strip(const Level *level, ptrdiff_t y, ptrdiff_t left, ptrdiff_t count) {
    enum { P = PLANES_OF_COLOR };
    const ptrdiff_t height = level->height, width = level->width, size = height * width, at = y * width + left;
    const Parents from = {level->parents, level->coarse, level->fine, height, width, level->rows, level->columns};
    Strip found;
    int16_t four[STRIP];
    int8_t planes[FEATURES + 1][STRIP];
    guide(&from, y, left, count, &found);
    int32_t(*near)[5][AROUND] = found.near, (*smooth)[STRIP] = found.smooth, (*cubic)[STRIP] = found.cubic,
           (*guided)[STRIP] = found.guided;
    const int32_t *restrict light = near[LIGHT][2] + REACH;
    for (int k = 0; k < 6; k++)
        memcpy(level->guided + k * size + at, guided[k], (size_t)count * sizeof(int32_t));

    int8_t(*plane)[STRIP] = planes;
    const ptrdiff_t scale = level->finer == level->fine ? 1 : 2;
    for (int a = 0; a < 2; a++)
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 2; c++) {
                const ptrdiff_t row = least(2 * y + c, level->rows - 1) * scale + (scale - 1) * a;
                const int16_t *given = level->finer + least(row, level->finer_rows - 1) * level->finer_columns;
                for (int d = 0; d < 2; d++, plane++) {
                    /* Where columns are odd, the last two of four are the two before them. */
                    const ptrdiff_t inside = least(count, (level->columns + 1 - d) / 2 - left);
                    column(given, level->finer_columns, 2 * scale, scale * (2 * left + d) + (scale - 1) * b, inside, four);
                    for (ptrdiff_t x = inside; x < count; x++)
                        four[x] = given[least(scale * (level->columns - 1) + (scale - 1) * b, level->finer_columns - 1)];
                    for (ptrdiff_t x = 0; x < count; x++)
                        (*plane)[x] = small((four[x] - light[x]) >> 5);
                }
            }
    for (int a = 0; a < 2; a++) {
        const int16_t *row = level->ranges + least(2 * y + a, level->rows - 1) * level->columns;
        for (int b = 0; b < 2; b++, plane++) {
            column(row, level->columns, 2, 2 * left + b, count, four);
            for (ptrdiff_t x = 0; x < count; x++)
                (*plane)[x] = small(four[x] >> 1);
        }
    }
    for (ptrdiff_t x = 0; x < count; x++)
        (*plane)[x] = small((light[x] >> 6) - 128);
    plane++;
    for (int c = 0; c < P; c++, plane++)
        for (ptrdiff_t x = 0; x < count; x++)
            (*plane)[x] = small(near[c][2][x + REACH] >> 8);
    for (int c = 0; c < P; c++, plane++)
        for (ptrdiff_t x = 0; x < count; x++)
            (*plane)[x] = small((near[c][2][x + REACH] * 256 - smooth[c][x]) >> 14);
    for (int k = 0; k < 6; k++, plane++)
        for (ptrdiff_t x = 0; x < count; x++)
            (*plane)[x] = small(guided[k][x] >> 6);
    for (int k = 0; k < 6; k++, plane++)
        for (ptrdiff_t x = 0; x < count; x++)
            (*plane)[x] = small(floor_division(guided[k][x] * 8, level->step));
    for (int k = 0; k < 6; k++, plane++)
        for (ptrdiff_t x = 0; x < count; x++)
            (*plane)[x] = small(cubic[k][x] >> 6);
    for (int k = 0; k < 6; k++, plane++) {
        const ptrdiff_t half_height = (height + 1) / 2, half_width = (width + 1) / 2;
        if (level->symbols == NULL) {
            memset(*plane, 0, STRIP);
            continue;
        }
        const int16_t *restrict own = level->symbols + (k * half_height + y / 2) * half_width;
        for (ptrdiff_t x = 0; x < (count + 1) / 2; x++) {
            const int32_t value = within(own[left / 2 + x], 7);
            (*plane)[2 * x] = (*plane)[2 * x + 1] = (int8_t)(16 * (value < 0 ? -value : value));
        }
    }
    memset(*plane++, level->loudness, STRIP);
    memset(*plane++, level->octave, STRIP);
    memset(*plane, 0, STRIP);

    interleave(planes, count, level->features + at * FEATURES);
}

INLINE void prepare(const Level *level, ptrdiff_t top, ptrdiff_t bottom, int version) {
    (void)version;
    for (ptrdiff_t y = top; y < bottom; y++)
        for (ptrdiff_t left = 0; left < level->width; left += STRIP)
            strip(level, y, left, least(STRIP, level->width - left));
}

/* ---- details */

void settle_rows(const Details *details, int half, int plane, const int16_t *symbols, const int16_t *shifts, int8_t *known,
                 int8_t *own, ptrdiff_t top, ptrdiff_t bottom) {
    const ptrdiff_t width = details->width, size = details->height * width;
    const int32_t step = details->step;
    /* 32 times a correction, in steps, is 32 symbol + 2 shift, less what is lost where the shift becomes whole. */
    int32_t lost[1 << SHIFTS_LOG];
    for (int k = 0; k < 1 << SHIFTS_LOG; k++)
        lost[k] = (2 * k + step - 1) / step;
    for (ptrdiff_t y = top; y < bottom; y++)
        for (int d = 0; d < 3; d++) {
            if (d && 2 * y + 1 >= details->rows)
                continue;
            const ptrdiff_t across = d == 1 ? width : details->columns / 2;
            for (ptrdiff_t x = (y + half) % 2; x < across; x += 2) {
                const ptrdiff_t at = y * width + x, from = d * size + at, to = (2 * d + plane) * size + at;
                const int32_t symbol = symbols[from], shift = shifts[from];
                const int32_t correction = 32 * symbol + 2 * shift - lost[(shift * step) & ((1 << SHIFTS_LOG) - 1)];
                details->symbols[to] = (int16_t)symbol;
                details->shifts[to] = (int16_t)shift;
                if (half == 0) {
                    known[at * KNOWN + 2 * d + plane] = small(32 * symbol);
                    known[at * KNOWN + 6 + 2 * d + plane] = small(correction);
                }
                if (plane == 0) {
                    own[at * OWN + d] = small(32 * symbol);
                    own[at * OWN + 3 + d] = small(correction);
                }
            }
        }
    if (half == 0)
        for (ptrdiff_t y = top; y < bottom; y++)
            for (ptrdiff_t x = y % 2; x < width; x += 2)
                known[(y * width + x) * KNOWN + KNOWN - 1] = 32;
}

/* Children in TYPE, which has to hold the sum of three details. */
#define CHILDREN(NAME, TYPE)                                                                                        \
    INLINE void NAME(const Details *it, int32_t most, int32_t *cells, ptrdiff_t top, ptrdiff_t bottom) {            \
        const ptrdiff_t width = it->width, size = it->height * width, columns = it->columns;                        \
        const TYPE step = it->step, high = most, low = -high;                                                       \
        for (int c = 0; c < 2; c++)                                                                                 \
            for (ptrdiff_t y = top; y < bottom; y++)                                                                \
                for (ptrdiff_t left = 0; left < width; left += STRIP) {                                             \
                    const ptrdiff_t count = least(STRIP, width - left), at = y * width + left;                      \
                    const ptrdiff_t whole = least(count, columns / 2 - left);                                       \
                    const int32_t *restrict parents = it->parents + c * size + at;                                  \
                    TYPE detail[3][STRIP];                                                                          \
                    int32_t rows[2][2 * STRIP];                                                                     \
                    for (int d = 0; d < 3; d++) {                                                                   \
                        const ptrdiff_t from = (2 * d + c) * size + at;                                             \
                        const int32_t *restrict guided = it->guided + from;                                         \
                        const int16_t *restrict symbols = it->symbols + from, *restrict shifts = it->shifts + from; \
                        for (ptrdiff_t x = 0; x < count; x++)                                                       \
                            detail[d][x] = guided[x] + (((TYPE)shifts[x] * step) >> SHIFTS_LOG) + symbols[x] * step; \
                        if (d && 2 * y + 1 >= it->rows)                                                             \
                            memset(detail[d], 0, sizeof detail[d]);                                                 \
                        if (d != 1)                                                                                 \
                            for (ptrdiff_t x = whole; x < count; x++)                                               \
                                detail[d][x] = 0;                                                                   \
                    }                                                                                               \
                    for (ptrdiff_t x = 0; x < count; x++) {                                                         \
                        const TYPE h = detail[0][x], v = detail[1][x], d = detail[2][x], parent = parents[x];       \
                        const TYPE a = parent + ((h + v + d) >> 1), b = parent + ((v - h - d) >> 1);                \
                        const TYPE e = parent + ((h - v - d) >> 1), f = parent + ((d - h - v) >> 1);                \
                        rows[0][2 * x] = (int32_t)(a < low ? low : a > high ? high : a);                            \
                        rows[0][2 * x + 1] = (int32_t)(b < low ? low : b > high ? high : b);                        \
                        rows[1][2 * x] = (int32_t)(e < low ? low : e > high ? high : e);                            \
                        rows[1][2 * x + 1] = (int32_t)(f < low ? low : f > high ? high : f);                        \
                    }                                                                                               \
                    const size_t bytes = (size_t)least(2 * count, columns - 2 * left) * sizeof(int32_t);            \
                    for (ptrdiff_t k = 0; k < 2 && 2 * y + k < it->rows; k++)                                       \
                        memcpy(cells + (c * it->rows + 2 * y + k) * columns + 2 * left, rows[k], bytes);            \
                }                                                                                                   \
    }

CHILDREN(children_32, int32_t)
CHILDREN(children_64, int64_t)

INLINE void children(const Details *details, int32_t most, int32_t *cells, ptrdiff_t top, ptrdiff_t bottom,
                     int version) {
    (void)version;
    if (details->step <= 1 << 13)
        children_32(details, most, cells, top, bottom);
    else
        children_64(details, most, cells, top, bottom);
}

/* No sum is larger than 16384 sqrt(2) 65535. */
INLINE void turn(const int32_t *restrict cells, int32_t cosine, int32_t sine, int16_t *restrict samples, ptrdiff_t size,
                 ptrdiff_t first, ptrdiff_t last, int version) {
    (void)version;
    for (ptrdiff_t k = first; k < last; k++) {
        const int32_t x = cells[k], y = cells[size + k];
        const int32_t a = (cosine * x - sine * y + 8192) >> 14, b = (sine * x + cosine * y + 8192) >> 14;
        samples[k] = (int16_t)(a < INT16_MIN ? INT16_MIN : a > INT16_MAX ? INT16_MAX : a);
        samples[size + k] = (int16_t)(b < INT16_MIN ? INT16_MIN : b > INT16_MAX ? INT16_MAX : b);
    }
}

/* ---- versions */

VERSIONS(halve_rows, (const Halving *it, ptrdiff_t top, ptrdiff_t bottom, int version), (it, top, bottom, version), halve)
VERSIONS(prepare_rows, (const Level *level, ptrdiff_t top, ptrdiff_t bottom, int version), (level, top, bottom, version),
         prepare)
VERSIONS(children_rows,
         (const Details *details, int32_t most, int32_t *cells, ptrdiff_t top, ptrdiff_t bottom, int version),
         (details, most, cells, top, bottom, version), children)
VERSIONS(turn_cells,
         (const int32_t *cells, int32_t cosine, int32_t sine, int16_t *samples, ptrdiff_t size, ptrdiff_t first,
          ptrdiff_t last, int version),
         (cells, cosine, sine, samples, size, first, last, version), turn)
