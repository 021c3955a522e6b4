/* levels.h for Python. */
#include "native.h"

#include "kernels.h"
#include "levels.h"

enum { MOST_STEP = 65535 };

/* halve(sums, low, high, height, width, from, to, shift, new_sums, new_low, new_high, means, ranges, top, bottom, version) */
static PyObject *halve(PyObject *self, PyObject *args) {
    Py_buffer b[8];
    Halving it;
    Py_ssize_t top, bottom;
    int version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*nniiiw*w*w*w*w*nni", &b[0], &b[1], &b[2], &it.height, &it.width, &it.from, &it.to,
                          &it.shift, &b[3], &b[4], &b[5], &b[6], &b[7], &top, &bottom, &version))
        return NULL;
    if (!is_side(it.height) || !is_side(it.width) || !can_halve(it.from, it.to) || it.shift < -6 || it.shift > 40 ||
        !is_band(top, bottom, (it.height + 1) / 2) || !is_version(version))
        return done(b, 8, out_of_range());
    const size_t size = (size_t)it.height * it.width, less = (size_t)((it.height + 1) / 2) * ((it.width + 1) / 2);
    const Held held[] = {
        {&b[0], size, it.from, "sums", 0},   {&b[1], size, 1, "low", 0},     {&b[2], size, 1, "high", 0},
        {&b[3], less, it.to, "new sums", 0}, {&b[4], less, 1, "new low", 0}, {&b[5], less, 1, "new high", 0},
        {&b[6], less, 2, "means", 0},        {&b[7], less, 2, "ranges", 0},
    };
    if (!all_sized(held, 8))
        return done(b, 8, NULL);
    it.sums = b[0].buf, it.low = b[1].buf, it.high = b[2].buf, it.new_sums = b[3].buf, it.new_low = b[4].buf;
    it.new_high = b[5].buf, it.means = b[6].buf, it.ranges = b[7].buf;
    Py_BEGIN_ALLOW_THREADS
    halve_rows(&it, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 8, Py_NewRef(Py_None));
}

/* prepare(parents, symbols or None, coarse, fine, ranges, finer or None, height, width, rows, columns, finer_rows,
   finer_columns, step, loudness, octave, guided, features, top, bottom, version); finer is None for `fine`. */
static PyObject *prepare(PyObject *self, PyObject *args) {
    Py_buffer b[8];
    Level level;
    Py_ssize_t top, bottom;
    int loudness, octave, version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*z*y*y*y*z*nnnnnniiiw*w*nni", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &level.height,
                          &level.width, &level.rows, &level.columns, &level.finer_rows, &level.finer_columns, &level.step,
                          &loudness, &octave, &b[6], &b[7], &top, &bottom, &version))
        return NULL;
    const int is_finest = b[5].buf == NULL;
    if (!are_halves(level.height, level.rows) || !are_halves(level.width, level.columns) ||
        (is_finest ? level.finer_rows != level.rows || level.finer_columns != level.columns
                   : !are_halves(level.rows, level.finer_rows) || !are_halves(level.columns, level.finer_columns)) ||
        level.step < 1 || level.step > MOST_STEP || loudness < -127 || loudness > 127 || octave < -127 || octave > 127 ||
        !is_band(top, bottom, level.height) || !is_version(version))
        return done(b, 8, out_of_range());
    const size_t size = (size_t)level.height * level.width, fine = (size_t)level.rows * level.columns;
    const Held held[] = {
        {&b[0], 2 * size, 4, "parents", 0},
        {&b[1], 6 * (size_t)((level.height + 1) / 2) * ((level.width + 1) / 2), 2, "symbols", 1},
        {&b[2], size, 2, "coarse", 0},
        {&b[3], fine, 2, "fine", 0},
        {&b[4], fine, 2, "ranges", 0},
        {&b[5], (size_t)level.finer_rows * level.finer_columns, 2, "finer", 1},
        {&b[6], 6 * size, 4, "guided", 0},
        {&b[7], FEATURES * size, 1, "features", 0},
    };
    if (!all_sized(held, 8))
        return done(b, 8, NULL);
    level.parents = b[0].buf, level.symbols = b[1].buf, level.coarse = b[2].buf, level.fine = b[3].buf;
    level.ranges = b[4].buf, level.finer = is_finest ? level.fine : b[5].buf, level.guided = b[6].buf;
    level.features = b[7].buf, level.loudness = (int8_t)loudness, level.octave = (int8_t)octave;
    Py_BEGIN_ALLOW_THREADS
    prepare_rows(&level, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 8, Py_NewRef(Py_None));
}

static int is_level(const Details *it) {
    return are_halves(it->height, it->rows) && are_halves(it->width, it->columns) && it->step >= 1 && it->step <= MOST_STEP;
}

/* settle(symbols, shifts, height, width, rows, columns, step, half, plane, new_symbols, new_shifts, known, own, top, bottom) */
static PyObject *settle(PyObject *self, PyObject *args) {
    Py_buffer b[6];
    Details it;
    Py_ssize_t top, bottom;
    int half, plane;
    (void)self;
    if (!PyArg_ParseTuple(args, "w*w*nnnniiiy*y*w*w*nn", &b[0], &b[1], &it.height, &it.width, &it.rows, &it.columns, &it.step,
                          &half, &plane, &b[2], &b[3], &b[4], &b[5], &top, &bottom))
        return NULL;
    if (!is_level(&it) || half < 0 || half > 1 || plane < 0 || plane > 1 || !is_band(top, bottom, it.height))
        return done(b, 6, out_of_range());
    const size_t size = (size_t)it.height * it.width;
    const Held held[] = {
        {&b[0], 6 * size, 2, "symbols", 0},     {&b[1], 6 * size, 2, "shifts", 0},    {&b[2], 3 * size, 2, "new symbols", 0},
        {&b[3], 3 * size, 2, "new shifts", 0}, {&b[4], KNOWN * size, 1, "known", 0}, {&b[5], OWN * size, 1, "own", 0},
    };
    if (!all_sized(held, 6))
        return done(b, 6, NULL);
    it.parents = it.guided = NULL, it.symbols = b[0].buf, it.shifts = b[1].buf;
    Py_BEGIN_ALLOW_THREADS
    settle_rows(&it, half, plane, b[2].buf, b[3].buf, b[4].buf, b[5].buf, top, bottom);
    Py_END_ALLOW_THREADS
    return done(b, 6, Py_NewRef(Py_None));
}

/* children(parents, guided, symbols, shifts, height, width, rows, columns, step, most, cells, top, bottom, version) */
static PyObject *children(PyObject *self, PyObject *args) {
    Py_buffer b[5];
    Details it;
    Py_ssize_t top, bottom;
    int most, version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*y*nnnniiw*nni", &b[0], &b[1], &b[2], &b[3], &it.height, &it.width, &it.rows,
                          &it.columns, &it.step, &most, &b[4], &top, &bottom, &version))
        return NULL;
    if (!is_level(&it) || most < 0 || !is_band(top, bottom, it.height) || !is_version(version))
        return done(b, 5, out_of_range());
    const size_t size = (size_t)it.height * it.width;
    const Held held[] = {
        {&b[0], 2 * size, 4, "parents", 0}, {&b[1], 6 * size, 4, "guided", 0},
        {&b[2], 6 * size, 2, "symbols", 0}, {&b[3], 6 * size, 2, "shifts", 0},
        {&b[4], 2 * (size_t)it.rows * it.columns, 4, "cells", 0},
    };
    if (!all_sized(held, 5))
        return done(b, 5, NULL);
    it.parents = b[0].buf, it.guided = b[1].buf, it.symbols = b[2].buf, it.shifts = b[3].buf;
    Py_BEGIN_ALLOW_THREADS
    children_rows(&it, most, b[4].buf, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 5, Py_NewRef(Py_None));
}

/* turn(cells, cosine, sine, samples, size, first, last, version) */
static PyObject *turn(PyObject *self, PyObject *args) {
    Py_buffer b[2];
    Py_ssize_t size, first, last;
    int cosine, sine, version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*iiw*nnni", &b[0], &cosine, &sine, &b[1], &size, &first, &last, &version))
        return NULL;
    if (size < 0 || !is_band(first, last, size) || cosine < -16384 || cosine > 16384 || sine < -16384 || sine > 16384 ||
        !is_version(version))
        return done(b, 2, out_of_range());
    const Held held[] = {{&b[0], 2 * (size_t)size, 4, "cells", 0}, {&b[1], 2 * (size_t)size, 2, "samples", 0}};
    if (!all_sized(held, 2))
        return done(b, 2, NULL);
    Py_BEGIN_ALLOW_THREADS
    turn_cells(b[0].buf, cosine, sine, b[1].buf, size, first, last, version);
    Py_END_ALLOW_THREADS
    return done(b, 2, Py_NewRef(Py_None));
}

PyMethodDef level_methods[] = {
    {"halve", halve, METH_VARARGS, "levels.h, halve_rows"},
    {"prepare", prepare, METH_VARARGS, "levels.h, prepare_rows"},
    {"settle", settle, METH_VARARGS, "levels.h, settle_rows"},
    {"children", children, METH_VARARGS, "levels.h, children_rows"},
    {"turn", turn, METH_VARARGS, "levels.h, turn_cells"},
    {NULL, NULL, 0, NULL},
};
