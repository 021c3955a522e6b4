/* symbols.h for Python. */
#include "native.h"

#include "symbols.h"

enum { MOST_REACH = 1 << 20, MOST_STEP = 65535 };

/* count(spreads, mask, size, first, last, counts) */
static PyObject *count(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Py_ssize_t size, first, last;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*nnnw*", &b[0], &b[1], &size, &first, &last, &b[2]))
        return NULL;
    const Held held[] = {{&b[0], size, 1, "spreads", 0}, {&b[1], size, 1, "mask", 0}, {&b[2], 256, 8, "counts", 0}};
    if (size < 0 || !is_band(first, last, size))
        return done(b, 3, out_of_range());
    if (!all_sized(held, 3))
        return done(b, 3, NULL);
    Py_BEGIN_ALLOW_THREADS
    count_spreads(b[0].buf, b[1].buf, first, last, b[2].buf);
    Py_END_ALLOW_THREADS
    return done(b, 3, Py_NewRef(Py_None));
}

/* sort(spreads, mask, size, first, last, starts, positions, room) */
static PyObject *sort(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    Py_ssize_t size, first, last, room;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*nnnw*w*n", &b[0], &b[1], &size, &first, &last, &b[2], &b[3], &room))
        return NULL;
    const Held held[] = {
        {&b[0], size, 1, "spreads", 0},
        {&b[1], size, 1, "mask", 0},
        {&b[2], 256, 8, "starts", 0},
        {&b[3], room, 4, "positions", 0},
    };
    if (size < 0 || (size_t)size > UINT32_MAX || room < 0 || !is_band(first, last, size))
        return done(b, 4, out_of_range());
    if (!all_sized(held, 4))
        return done(b, 4, NULL);
    Py_BEGIN_ALLOW_THREADS
    sort_spreads(b[0].buf, b[1].buf, first, last, b[2].buf, b[3].buf, (uint64_t)room);
    Py_END_ALLOW_THREADS
    return done(b, 4, Py_NewRef(Py_None));
}

/* place(positions, found, count, first, last, symbols, size) */
static PyObject *place(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Py_ssize_t count, first, last, size;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*nnnw*n", &b[0], &b[1], &count, &first, &last, &b[2], &size))
        return NULL;
    const Held held[] = {{&b[0], count, 4, "positions", 0}, {&b[1], count, 2, "found", 0}, {&b[2], size, 2, "symbols", 0}};
    if (count < 0 || size < 0 || !is_band(first, last, count))
        return done(b, 3, out_of_range());
    if (!all_sized(held, 3))
        return done(b, 3, NULL);
    Py_BEGIN_ALLOW_THREADS
    place_symbols(b[0].buf, b[1].buf, first, last, b[2].buf, (uint64_t)size);
    Py_END_ALLOW_THREADS
    return done(b, 3, Py_NewRef(Py_None));
}

/* choose(targets, guided, shifts, spreads, mask, blocks, step, largest, bits, kinds, reach, prices, dead_zone, symbols, first,
   last) */
static PyObject *choose(PyObject *self, PyObject *args) {
    Py_buffer b[8];
    Choice it;
    Py_ssize_t kinds, first, last;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*niiy*niy*dw*nn", &b[0], &b[1], &b[2], &b[3], &b[4], &it.blocks, &it.step, &it.largest,
                          &b[5], &kinds, &it.reach, &b[7], &it.dead_zone, &b[6], &first, &last))
        return NULL;
    const Py_ssize_t size = it.blocks < 0 || it.blocks > PY_SSIZE_T_MAX / 3 ? -1 : 3 * it.blocks;
    if (size < 0 || it.step < 1 || it.step > MOST_STEP || it.largest < 0 || it.largest > INT16_MAX || kinds < 0 ||
        kinds > 256 || it.reach < 0 || it.reach > MOST_REACH || !is_band(first, last, size))
        return done(b, 8, out_of_range());
    const Held held[] = {
        {&b[0], size, 8, "targets", 0}, {&b[1], size, 4, "guided", 0}, {&b[2], size, 2, "shifts", 0},
        {&b[3], size, 1, "spreads", 0}, {&b[4], size, 1, "mask", 0},   {&b[5], kinds * (2 * (size_t)it.reach + 2), 4, "bits", 0},
        {&b[6], size, 2, "symbols", 0},  {&b[7], it.blocks, 4, "prices", 0},
    };
    if (!all_sized(held, 8))
        return done(b, 8, NULL);
    it.targets = b[0].buf, it.guided = b[1].buf, it.shifts = b[2].buf, it.spreads = b[3].buf, it.mask = b[4].buf;
    it.bits = b[5].buf, it.prices = b[7].buf;
    for (Py_ssize_t k = first; k < last; k++)
        if (it.mask[k] && it.spreads[k] >= kinds)
            return done(b, 8, out_of_range());
    Py_BEGIN_ALLOW_THREADS
    choose_symbols(&it, first, last, b[6].buf);
    Py_END_ALLOW_THREADS
    return done(b, 8, Py_NewRef(Py_None));
}

PyMethodDef symbol_methods[] = {
    {"count", count, METH_VARARGS, "symbols.h, count_spreads"},
    {"sort", sort, METH_VARARGS, "symbols.h, sort_spreads"},
    {"place", place, METH_VARARGS, "symbols.h, place_symbols"},
    {"choose", choose, METH_VARARGS, "symbols.h, choose_symbols"},
    {NULL, NULL, 0, NULL},
};
