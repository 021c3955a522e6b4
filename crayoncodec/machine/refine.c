#include "refine.h"

enum { LARGEST_ADDED = 4095, ADDED_LOG = 5, MOST_TEXTURE = 1023 };

/* The four children's means of lightness. */
INLINE void four_of(const Parents *from, ptrdiff_t y, ptrdiff_t left, ptrdiff_t count, int16_t (*four)[STRIP]) {
    for (int a = 0; a < 2; a++) {
        const int16_t *row = from->fine + least(2 * y + a, from->rows - 1) * from->columns;
        for (int b = 0; b < 2; b++)
            column(row, from->columns, 2, 2 * left + b, count, four[2 * a + b]);
    }
}

INLINE void give(const Given *given, ptrdiff_t top, ptrdiff_t bottom, int version) {
    (void)version;
    const Parents *from = &given->from;
    Strip found;
    int16_t four[4][STRIP];
    int8_t plane[STRIP];
    for (ptrdiff_t y = top; y < bottom; y++)
        for (ptrdiff_t left = 0; left < from->width; left += STRIP) {
            const ptrdiff_t count = least(STRIP, from->width - left);
            int8_t *to = given->planes + (y - given->first) * given->across + left;
            const int32_t *restrict light = found.near[LIGHT][2] + REACH;
            guide(from, y, left, count, &found);
            four_of(from, y, left, count, four);
#define PLANE(VALUE)                                                                                                \
    {                                                                                                               \
        for (ptrdiff_t x = 0; x < count; x++)                                                                       \
            plane[x] = small(VALUE);                                                                                \
        memcpy(to, plane, (size_t)count);                                                                           \
        to += given->rows * given->across;                                                                          \
    }
            for (int k = 0; k < 4; k++)
                PLANE((four[k][x] - light[x]) >> 5)
            PLANE((light[x] >> 6) - 128)
            for (int c = 0; c < PLANES_OF_COLOR; c++)
                PLANE(found.near[c][2][x + REACH] >> 8)
            for (int c = 0; c < PLANES_OF_COLOR; c++)
                PLANE((found.near[c][2][x + REACH] * 256 - found.smooth[c][x]) >> 14)
            for (int k = 0; k < 6; k++)
                PLANE(found.guided[k][x] >> 6)
            PLANE(given->loudness)
            PLANE(given->octave)
#undef PLANE
        }
}

INLINE void go_on(const Continued *it, ptrdiff_t top, ptrdiff_t bottom, int version) {
    (void)version;
    const Parents *from = &it->from;
    const ptrdiff_t columns = from->columns, gates = (from->width + STRIDE - 1) / STRIDE;
    const size_t plane = (size_t)it->rows * columns, added_plane = (size_t)it->added_rows * it->across;
    Strip found;
    for (ptrdiff_t y = top; y < bottom; y++)
        for (ptrdiff_t left = 0; left < from->width; left += STRIP) {
            const ptrdiff_t count = least(STRIP, from->width - left);
            const ptrdiff_t width = least(2 * count, columns - 2 * left);
            guide(from, y, left, count, &found);
            for (int c = 0; c < PLANES_OF_COLOR; c++) {
                const int32_t *restrict parent = found.near[c][2] + REACH;
                int32_t *restrict h = found.guided[c], *restrict v = found.guided[2 + c], *restrict d = found.guided[4 + c];
                int32_t children[2][2 * STRIP];
                if (width < 2 * count)
                    h[count - 1] = d[count - 1] = 0;
                if (2 * y + 1 >= from->rows)
                    for (ptrdiff_t x = 0; x < count; x++)
                        v[x] = d[x] = 0;
                for (ptrdiff_t x = 0; x < count; x++) {
                    children[0][2 * x] = within(parent[x] + ((h[x] + v[x] + d[x]) >> 1), it->most);
                    children[0][2 * x + 1] = within(parent[x] + ((v[x] - h[x] - d[x]) >> 1), it->most);
                    children[1][2 * x] = within(parent[x] + ((h[x] - v[x] - d[x]) >> 1), it->most);
                    children[1][2 * x + 1] = within(parent[x] + ((d[x] - h[x] - v[x]) >> 1), it->most);
                }
                for (int a = 0; a < 2 && 2 * y + a < from->rows; a++) {
                    if (it->added) {
                        const uint16_t *restrict gate = it->gate + y / STRIDE * gates;
                        const int32_t *restrict first =
                            it->added + (4 * c + 2 * a) * added_plane + (y - it->added_first) * it->across + left;
                        const int32_t *restrict second = first + added_plane;
                        for (ptrdiff_t x = 0; x < count; x++) {
                            const int32_t heard = gate[(left + x) / STRIDE];
                            int32_t *own = children[a] + 2 * x;
                            own[0] = within(own[0] + (within(first[x], LARGEST_ADDED) * heard >> ADDED_LOG), it->most);
                            own[1] = within(own[1] + (within(second[x], LARGEST_ADDED) * heard >> ADDED_LOG), it->most);
                        }
                    }
                    memcpy(it->cells + c * plane + (size_t)(2 * (y - it->first) + a) * columns + 2 * left, children[a],
                           (size_t)width * sizeof(int32_t));
                }
            }
        }
}

INLINE void texture(const Parents *from, int32_t *sums, ptrdiff_t top, ptrdiff_t bottom, int version) {
    (void)version;
    int32_t near[5][AROUND], details[3][STRIP];
    int16_t four[4][STRIP];
    for (ptrdiff_t y = top; y < bottom; y++)
        for (ptrdiff_t left = 0; left < from->width; left += STRIP) {
            const ptrdiff_t count = least(STRIP, from->width - left);
            for (int k = 0; k < 5; k++)
                neighbours_16(from->coarse, from->height, from->width, y + k - REACH, left, count, near[k]);
            four_of(from, y, left, count, four);
            bicubic(near, count, details[0], details[1], details[2]);
            int32_t *restrict to = sums + y * from->width + left;
            for (ptrdiff_t x = 0; x < count; x++) {
                const int32_t a = four[0][x], b = four[1][x], c = four[2][x], d = four[3][x];
                const int32_t h = within(((a - b + c - d) >> 1) - details[0][x], MOST_TEXTURE);
                const int32_t v = within(((a + b - c - d) >> 1) - details[1][x], MOST_TEXTURE);
                const int32_t both = within(((a - b - c + d) >> 1) - details[2][x], MOST_TEXTURE);
                to[x] = h * h + v * v + both * both;
            }
        }
}

VERSIONS(given_rows, (const Given *given, ptrdiff_t top, ptrdiff_t bottom, int version), (given, top, bottom, version), give)
VERSIONS(continued_rows, (const Continued *it, ptrdiff_t top, ptrdiff_t bottom, int version), (it, top, bottom, version), go_on)
VERSIONS(texture_rows, (const Parents *from, int32_t *sums, ptrdiff_t top, ptrdiff_t bottom, int version),
         (from, sums, top, bottom, version), texture)
