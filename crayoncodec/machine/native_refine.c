/* refine.h for Python. */
#include "native.h"

#include "kernels.h"
#include "refine.h"

static int are_parents(const Parents *from) {
    return are_halves(from->height, from->rows) && are_halves(from->width, from->columns);
}

/* given(parents, coarse, fine, height, width, rows, columns, loudness, octave, planes, first, planes_rows, across, top, bottom,
   version) */
static PyObject *given_of(PyObject *self, PyObject *args) {
    Py_buffer b[4];
    Given it;
    Py_ssize_t top, bottom;
    int loudness, octave, version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*nnnniiw*nnnnni", &b[0], &b[1], &b[2], &it.from.height, &it.from.width, &it.from.rows,
                          &it.from.columns, &loudness, &octave, &b[3], &it.first, &it.rows, &it.across, &top, &bottom,
                          &version))
        return NULL;
    if (!are_parents(&it.from) || loudness < -127 || loudness > 127 || octave < -127 || octave > 127 || !is_side(it.rows) ||
        !is_side(it.across) || it.across < it.from.width || !is_band(top, bottom, it.from.height) || it.first < 0 ||
        it.first > top || bottom - it.first > it.rows || !is_version(version))
        return done(b, 4, out_of_range());
    const size_t size = (size_t)it.from.height * it.from.width;
    const Held held[] = {
        {&b[0], 2 * size, 4, "parents", 0},
        {&b[1], size, 2, "coarse", 0},
        {&b[2], (size_t)it.from.rows * it.from.columns, 2, "fine", 0},
        {&b[3], (size_t)GIVEN * it.rows * it.across, 1, "planes", 0},
    };
    if (!all_sized(held, 4))
        return done(b, 4, NULL);
    it.from.parents = b[0].buf, it.from.coarse = b[1].buf, it.from.fine = b[2].buf, it.planes = b[3].buf;
    it.loudness = (int8_t)loudness, it.octave = (int8_t)octave;
    Py_BEGIN_ALLOW_THREADS
    given_rows(&it, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 4, Py_NewRef(Py_None));
}

/* continued(parents, coarse, fine, height, width, rows, columns, added or None, gate or None, added_first, added_rows, across,
   most, cells, first, cells_rows, top, bottom, version) */
static PyObject *continued_of(PyObject *self, PyObject *args) {
    Py_buffer b[6];
    Continued it;
    Py_ssize_t top, bottom;
    int version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*nnnnz*z*nnniw*nnnni", &b[0], &b[1], &b[2], &it.from.height, &it.from.width,
                          &it.from.rows, &it.from.columns, &b[3], &b[4], &it.added_first, &it.added_rows, &it.across, &it.most,
                          &b[5], &it.first, &it.rows, &top, &bottom, &version))
        return NULL;
    const int plain = b[3].buf == NULL;
    if (!are_parents(&it.from) || (b[4].buf == NULL) != plain || it.most < 0 || it.most > 65535 || !is_side(it.rows) ||
        !is_band(top, bottom, it.from.height) || it.first < 0 || it.first > top ||
        (2 * bottom < it.from.rows ? 2 * bottom : it.from.rows) - 2 * it.first > it.rows || !is_version(version) ||
        (!plain && (!is_side(it.added_rows) || !is_side(it.across) || it.across < it.from.width || it.added_first < 0 ||
                    it.added_first > top || bottom - it.added_first > it.added_rows)))
        return done(b, 6, out_of_range());
    const size_t size = (size_t)it.from.height * it.from.width;
    const Held held[] = {
        {&b[0], 2 * size, 4, "parents", 0},
        {&b[1], size, 2, "coarse", 0},
        {&b[2], (size_t)it.from.rows * it.from.columns, 2, "fine", 0},
        {&b[3], plain ? 0 : (size_t)8 * it.added_rows * it.across, 4, "added", 1},
        {&b[4], (size_t)((it.from.height + STRIDE - 1) / STRIDE) * ((it.from.width + STRIDE - 1) / STRIDE), 2, "gate", 1},
        {&b[5], (size_t)2 * it.rows * it.from.columns, 4, "cells", 0},
    };
    if (!all_sized(held, 6))
        return done(b, 6, NULL);
    it.from.parents = b[0].buf, it.from.coarse = b[1].buf, it.from.fine = b[2].buf;
    it.added = b[3].buf, it.gate = b[4].buf, it.cells = b[5].buf;
    Py_BEGIN_ALLOW_THREADS
    continued_rows(&it, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 6, Py_NewRef(Py_None));
}

/* texture(coarse, fine, height, width, rows, columns, sums, top, bottom, version) */
static PyObject *texture_of(PyObject *self, PyObject *args) {
    Py_buffer b[3];
    Parents from = {.parents = NULL};
    Py_ssize_t top, bottom;
    int version;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*nnnnw*nni", &b[0], &b[1], &from.height, &from.width, &from.rows, &from.columns, &b[2],
                          &top, &bottom, &version))
        return NULL;
    if (!are_parents(&from) || !is_band(top, bottom, from.height) || !is_version(version))
        return done(b, 3, out_of_range());
    const size_t size = (size_t)from.height * from.width;
    const Held held[] = {
        {&b[0], size, 2, "coarse", 0},
        {&b[1], (size_t)from.rows * from.columns, 2, "fine", 0},
        {&b[2], size, 4, "sums", 0},
    };
    if (!all_sized(held, 3))
        return done(b, 3, NULL);
    from.coarse = b[0].buf, from.fine = b[1].buf;
    Py_BEGIN_ALLOW_THREADS
    texture_rows(&from, b[2].buf, top, bottom, version);
    Py_END_ALLOW_THREADS
    return done(b, 3, Py_NewRef(Py_None));
}

PyMethodDef refine_methods[] = {
    {"given", given_of, METH_VARARGS, "refine.h, given_rows"},
    {"continued", continued_of, METH_VARARGS, "refine.h, continued_rows"},
    {"texture", texture_of, METH_VARARGS, "refine.h, texture_rows"},
    {NULL, NULL, 0, NULL},
};
