#include "symbols.h"

#include "versions.h"

void count_spreads(const uint8_t *spreads, const uint8_t *mask, ptrdiff_t first, ptrdiff_t last, int64_t counts[256]) {
    for (ptrdiff_t k = first; k < last; k++)
        counts[spreads[k]] += mask[k] != 0;
}

void sort_spreads(const uint8_t *spreads, const uint8_t *mask, ptrdiff_t first, ptrdiff_t last, uint64_t starts[256],
                  uint32_t *positions, uint64_t room) {
    for (ptrdiff_t k = first; k < last; k++)
        if (mask[k] && starts[spreads[k]] < room)
            positions[starts[spreads[k]]++] = (uint32_t)k;
}

void place_symbols(const uint32_t *positions, const int16_t *found, ptrdiff_t first, ptrdiff_t last, int16_t *symbols,
                   uint64_t size) {
    for (ptrdiff_t k = first; k < last; k++)
        if (positions[k] < size)
            symbols[positions[k]] = found[k];
}

static double cost(const Choice *it, ptrdiff_t k, float price, double size, int32_t symbol) {
    const float *bits = it->bits + (ptrdiff_t)it->spreads[k] * (2 * it->reach + 2);
    const double error = size - symbol;
    return error * error + (double)(price * bits[symbol <= it->reach ? symbol + it->reach : 2 * it->reach + 1]);
}

void choose_symbols(const Choice *it, ptrdiff_t first, ptrdiff_t last, int16_t *symbols) {
    ptrdiff_t block = it->blocks ? first % it->blocks : 0;
    for (ptrdiff_t k = first; k < last; k++) {
        const float price = it->prices[block];
        block = block + 1 < it->blocks ? block + 1 : 0;
        symbols[k] = 0;
        if (!it->mask[k])
            continue;
        const int32_t predicted = it->guided[k] + ((it->shifts[k] * it->step) >> 4);
        const double residual = (it->targets[k] / 2 - predicted) / it->step, size = residual < 0 ? -residual : residual;
        const int32_t nearest = size + 0.5 < it->largest ? (int32_t)(size + 0.5) : it->largest;
        int32_t best = nearest;
        if (price == 0)
            best = size < it->dead_zone ? 0 : nearest;
        else if (nearest > 0) {
            double least = cost(it, k, price, size, nearest);
            const double less = cost(it, k, price, size, nearest - 1), none = cost(it, k, price, size, 0);
            if (less < least)
                least = less, best = nearest - 1;
            if (none < least)
                best = 0;
        }
        symbols[k] = (int16_t)(residual < 0 ? -best : best);
    }
}
