#include "kernels.h"
#include "lab.h"
#include "native.h"

/* A buffer [shape[0], shape[1], ...] of items: strides are as they come, but for items that lie one after the other. */
static int shaped(PyObject *from, Py_buffer *buffer, int flags, int count, const Py_ssize_t *shape, Py_ssize_t size,
                  const char *what) {
    if (PyObject_GetBuffer(from, buffer, PyBUF_STRIDES | flags) < 0)
        return 0;
    int good = buffer->ndim == count && buffer->itemsize == size && (uintptr_t)buffer->buf % (size_t)size == 0;
    for (int k = 0; good && k < count; k++)
        good = buffer->shape[k] == shape[k] && buffer->strides[k] % size == 0;
    good = good && buffer->strides[count - 1] == size;
    if (!good) {
        PyErr_Format(PyExc_ValueError, "%s has not the shape, items or strides that are expected", what);
        PyBuffer_Release(buffer);
    }
    return good;
}

/* lab_to_rgb(lightness[h,w], ab[2,h,w], whether ab is float, matrix[3,3], curve[4096], luminance[256,2], rgb[h,w,3],
   version) */
PyObject *native_lab_to_rgb(PyObject *self, PyObject *args) {
    enum { LIGHTNESS, AB, MATRIX, CURVE, LUMINANCE, RGB, GIVEN };
    PyObject *given[GIVEN];
    Py_buffer views[GIVEN];
    Py_ssize_t height, width;
    int floats, version, held = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOpOOOOnni", &given[LIGHTNESS], &given[AB], &floats, &given[MATRIX], &given[CURVE],
                          &given[LUMINANCE], &given[RGB], &height, &width, &version))
        return NULL;
    if (height < 0 || width < 0 || version < 0 || version > best_version()) {
        PyErr_SetString(PyExc_ValueError, "a size is out of range");
        return NULL;
    }
    const struct {
        int flags, count;
        Py_ssize_t shape[3], size;
        const char *what;
    } expected[GIVEN] = {
        {0, 2, {height, width}, 1, "lightness"},        {0, 3, {2, height, width}, 4, "ab"},
        {0, 2, {3, 3}, 4, "matrix"},                    {0, 1, {LAB_CURVE}, 4, "curve"},
        {0, 2, {256, 2}, 4, "luminance"},               {PyBUF_WRITABLE, 3, {height, width, 3}, 1, "rgb"},
    };
    while (held < GIVEN && shaped(given[held], &views[held], expected[held].flags, expected[held].count, expected[held].shape,
                                  expected[held].size, expected[held].what))
        held++;
    int good = held == GIVEN;
    if (good && (views[MATRIX].strides[0] != 12 || views[LUMINANCE].strides[0] != 8 || views[RGB].strides[1] != 3)) {
        PyErr_SetString(PyExc_ValueError, "a table or rgb has gaps");
        good = 0;
    }
    if (good) {
        const LabTables tables = {views[MATRIX].buf, views[CURVE].buf, views[LUMINANCE].buf};
        const Py_ssize_t *strides = views[AB].strides;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t y = 0; y < height; y++) {
            const uint8_t *lightness = (const uint8_t *)views[LIGHTNESS].buf + y * views[LIGHTNESS].strides[0];
            const char *a = (const char *)views[AB].buf + y * strides[1], *b = a + strides[0];
            uint8_t *rgb = (uint8_t *)views[RGB].buf + y * views[RGB].strides[0];
            if (floats)
                lab_floats_to_rgb(&tables, lightness, (const void *)a, (const void *)b, width, rgb, version);
            else
                lab_to_rgb(&tables, lightness, (const void *)a, (const void *)b, width, rgb, version);
        }
        Py_END_ALLOW_THREADS
    }
    while (held-- > 0)
        PyBuffer_Release(&views[held]);
    return good ? Py_NewRef(Py_None) : NULL;
}
