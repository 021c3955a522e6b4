#include "kernels.h"
#include "lab.h"
#include "native.h"

typedef struct {
    int flags, count;
    Py_ssize_t shape[3], size;
    const char *what;
} Expected;

/* A buffer of that shape: strides are as they come, but for items that lie one after the other. */
static int shaped(PyObject *from, Py_buffer *view, const Expected *expected) {
    const Py_ssize_t size = expected->size;
    if (PyObject_GetBuffer(from, view, PyBUF_STRIDES | expected->flags) < 0)
        return 0;
    int good = view->ndim == expected->count && view->itemsize == size && (uintptr_t)view->buf % (size_t)size == 0;
    for (int k = 0; good && k < expected->count; k++)
        good = view->shape[k] == expected->shape[k] && view->strides[k] % size == 0;
    good = good && view->strides[expected->count - 1] == size;
    if (!good) {
        PyErr_Format(PyExc_ValueError, "%s has not the shape, items or strides that are expected", expected->what);
        PyBuffer_Release(view);
    }
    return good;
}

/* All of them, or none. */
static int all_shaped(PyObject *const *given, Py_buffer *views, const Expected *expected, int count) {
    for (int k = 0; k < count; k++)
        if (!shaped(given[k], &views[k], &expected[k])) {
            while (k-- > 0)
                PyBuffer_Release(&views[k]);
            return 0;
        }
    return 1;
}

static void release(Py_buffer *views, int count) {
    while (count-- > 0)
        PyBuffer_Release(&views[count]);
}

/* Of a table: rows without gaps. Of a picture: pixels without gaps. */
static int dense(const Py_buffer *view, int from) {
    for (int k = from; k + 1 < view->ndim; k++)
        if (view->strides[k] != view->shape[k + 1] * view->strides[k + 1]) {
            PyErr_SetString(PyExc_ValueError, "a table or rgb has gaps");
            return 0;
        }
    return 1;
}

static int size_good(Py_ssize_t height, Py_ssize_t width, int version) {
    if (height >= 0 && width >= 0 && is_version(version))
        return 1;
    PyErr_SetString(PyExc_ValueError, "a size is out of range");
    return 0;
}

/* lab_to_rgb(lightness[h,w], ab[2,h,w], whether ab is float, matrix[3,3], curve[4096], luminance[256,2], rgb[h,w,3],
   h, w, version) */
static PyObject *lab_to_rgb_of(PyObject *self, PyObject *args) {
    enum { LIGHTNESS, AB, MATRIX, CURVE, LUMINANCE, RGB, GIVEN };
    PyObject *given[GIVEN];
    Py_buffer views[GIVEN];
    Py_ssize_t height, width;
    int floats, version;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOpOOOOnni", &given[LIGHTNESS], &given[AB], &floats, &given[MATRIX], &given[CURVE],
                          &given[LUMINANCE], &given[RGB], &height, &width, &version) ||
        !size_good(height, width, version))
        return NULL;
    const Expected expected[GIVEN] = {
        {0, 2, {height, width}, 1, "lightness"}, {0, 3, {2, height, width}, 4, "ab"},
        {0, 2, {3, 3}, 4, "matrix"},             {0, 1, {LAB_CURVE}, 4, "curve"},
        {0, 2, {256, 2}, 4, "luminance"},        {PyBUF_WRITABLE, 3, {height, width, 3}, 1, "rgb"},
    };
    if (!all_shaped(given, views, expected, GIVEN))
        return NULL;
    const int good = dense(&views[MATRIX], 0) && dense(&views[LUMINANCE], 0) && dense(&views[RGB], 1);
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
    release(views, GIVEN);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* rgb_to_lightness(rgb[h,w,3], luminance[3,256], curve[4096], lightness[h,w], h, w) */
static PyObject *rgb_to_lightness_of(PyObject *self, PyObject *args) {
    enum { RGB, LUMINANCE, CURVE, LIGHTNESS, GIVEN };
    PyObject *given[GIVEN];
    Py_buffer views[GIVEN];
    Py_ssize_t height, width;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOnn", &given[RGB], &given[LUMINANCE], &given[CURVE], &given[LIGHTNESS], &height, &width) ||
        !size_good(height, width, 0))
        return NULL;
    const Expected expected[GIVEN] = {
        {0, 3, {height, width, 3}, 1, "rgb"},
        {0, 2, {3, 256}, 4, "luminance"},
        {0, 1, {LAB_CURVE}, 4, "curve"},
        {PyBUF_WRITABLE, 2, {height, width}, 1, "lightness"},
    };
    if (!all_shaped(given, views, expected, GIVEN))
        return NULL;
    const int good = dense(&views[RGB], 1) && dense(&views[LUMINANCE], 0);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t y = 0; y < height; y++)
            rgb_to_lightness(views[LUMINANCE].buf, views[CURVE].buf,
                             (const uint8_t *)views[RGB].buf + y * views[RGB].strides[0], width,
                             (uint8_t *)views[LIGHTNESS].buf + y * views[LIGHTNESS].strides[0]);
        Py_END_ALLOW_THREADS
    }
    release(views, GIVEN);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* rgb_to_sums(rgb[h,w,3], ratios[3,256,4], roots[4097], spacing, sums[2,rows,cells], h, w) */
static PyObject *rgb_to_sums_of(PyObject *self, PyObject *args) {
    enum { RGB, RATIOS, ROOTS, SUMS, GIVEN };
    PyObject *given[GIVEN];
    Py_buffer views[GIVEN];
    Py_ssize_t height, width, spacing;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOOnOnn", &given[RGB], &given[RATIOS], &given[ROOTS], &spacing, &given[SUMS], &height, &width) ||
        !size_good(height, width, spacing >= 1 && spacing <= 65535 ? 0 : -1))
        return NULL;
    const Expected expected[GIVEN] = {
        {0, 3, {height, width, 3}, 1, "rgb"},
        {0, 3, {3, 256, 4}, 4, "ratios"},
        {0, 1, {LAB_CURVE + 1}, 4, "roots"},
        {PyBUF_WRITABLE, 3, {2, height / spacing + (height % spacing > 0), width / spacing + (width % spacing > 0)}, 8, "sums"},
    };
    if (!all_shaped(given, views, expected, GIVEN))
        return NULL;
    const int good = dense(&views[RGB], 1) && dense(&views[RATIOS], 0);
    if (good) {
        const Py_ssize_t stride = views[RGB].strides[0], *strides = views[SUMS].strides;
        Py_BEGIN_ALLOW_THREADS
        for (Py_ssize_t y = 0; y < views[SUMS].shape[1]; y++) {
            char *first = (char *)views[SUMS].buf + y * strides[1];
            const Py_ssize_t top = y * spacing, rows = height - top < spacing ? height - top : spacing;
            rgb_to_sums(views[RATIOS].buf, views[ROOTS].buf, (const uint8_t *)views[RGB].buf + top * stride, stride, rows, width,
                        spacing, (void *)first, (void *)(first + strides[0]));
        }
        Py_END_ALLOW_THREADS
    }
    release(views, GIVEN);
    return good ? Py_NewRef(Py_None) : NULL;
}

PyMethodDef lab_methods[] = {
    {"lab_to_rgb", lab_to_rgb_of, METH_VARARGS, "lab.h, lab_to_rgb and lab_floats_to_rgb"},
    {"rgb_to_lightness", rgb_to_lightness_of, METH_VARARGS, "lab.h, rgb_to_lightness"},
    {"rgb_to_sums", rgb_to_sums_of, METH_VARARGS, "lab.h, rgb_to_sums"},
    {NULL, NULL, 0, NULL},
};
