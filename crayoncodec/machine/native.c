/* The module crayoncodec.machine._native: kernels.h for Python, under the stable ABI. Sizes are checked here once more. */
#include "native.h"

#include "kernels.h"

#include <stdlib.h>

enum { MOST_PLANES = 8, ALIGNMENT = 32 };

static int sized(const Py_buffer *buffer, size_t size, const char *what) {
    if (buffer->buf != NULL && (size_t)buffer->len == size)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, expected %zu", what, buffer->len, size);
    return 0;
}

/* convolve(weights, bias, shift, side, inputs, outputs, planes, height, width, top, bottom, out, bytes, shown, rows_out,
   out_top, version); planes: tuples of a buffer, its channels and whether it is signed. */
static PyObject *convolve(PyObject *self, PyObject *args) {
    Py_buffer weights, bias, shift, out, given[MOST_PLANES];
    PyObject *list, *result = NULL;
    Convolution layer;
    Planes planes[MOST_PLANES];
    int height, width, top, bottom, bytes, shown, rows_out, out_top, version;
    int count = 0, channels = 0;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*y*y*iiiO!iiiiw*piiii", &weights, &bias, &shift, &layer.side, &layer.inputs, &layer.outputs,
                          &PyTuple_Type, &list, &height, &width, &top, &bottom, &out, &bytes, &shown, &rows_out, &out_top,
                          &version))
        return NULL;
    const int good = (layer.side == 1 || layer.side == 3) && layer.inputs > 0 && layer.inputs % 2 == 0 &&
                     layer.inputs <= 4096 && layer.outputs > 0 && layer.outputs % 8 == 0 && layer.outputs <= 4096 &&
                     height > 0 && width > 0 && 0 <= top && top <= bottom && bottom <= height && 0 <= out_top &&
                     out_top <= top && rows_out >= 0 && bottom - out_top <= rows_out && 0 < shown && shown <= layer.outputs &&
                     0 <= version && version <= best_version() && PyTuple_Size(list) <= MOST_PLANES;
    if (!good) {
        PyErr_SetString(PyExc_ValueError, "a size is out of range");
        goto release;
    }
    for (Py_ssize_t k = 0; k < PyTuple_Size(list); k++) {
        Planes *own = &planes[count];
        if (!PyArg_ParseTuple(PyTuple_GetItem(list, k), "y*ip", &given[count], &own->channels, &own->is_signed))
            goto release;
        own->data = given[count].buf;
        count++;
        if (own->channels <= 0 || own->channels > layer.inputs - channels ||
            !sized(&given[count - 1], (size_t)own->channels * height * width, "planes")) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "there are more planes than inputs");
            goto release;
        }
        channels += own->channels;
    }
    if (!sized(&weights, (size_t)layer.side * layer.side * layer.inputs * layer.outputs * sizeof(int16_t), "weights") ||
        !sized(&bias, (size_t)layer.outputs * sizeof(int32_t), "bias") || !sized(&shift, (size_t)layer.outputs, "shift") ||
        !sized(&out, (size_t)shown * rows_out * width * (bytes ? 1 : sizeof(int32_t)), "out"))
        goto release;
    layer.weights = weights.buf, layer.bias = bias.buf, layer.shift = shift.buf;
    for (int o = 0; o < layer.outputs; o++)
        if (layer.shift[o] > 31) {
            PyErr_SetString(PyExc_ValueError, "a shift is more than 31");
            goto release;
        }
    {
        void *memory = malloc(convolve_scratch(&layer) + ALIGNMENT);
        if (memory == NULL) {
            PyErr_NoMemory();
            goto release;
        }
        Py_BEGIN_ALLOW_THREADS
        void *aligned = (void *)(((uintptr_t)memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
        convolve_rows(&layer, planes, count, height, width, top, bottom, out.buf, bytes, shown, rows_out, out_top, aligned,
                      version);
        Py_END_ALLOW_THREADS
        free(memory);
    }
    result = Py_NewRef(Py_None);
release:
    for (int k = 0; k < count; k++)
        PyBuffer_Release(&given[k]);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&bias);
    PyBuffer_Release(&shift);
    PyBuffer_Release(&out);
    return result;
}

/* restore(residual, plane, height, width, itemsize) */
static PyObject *restore(PyObject *self, PyObject *args) {
    Py_buffer residual, plane;
    Py_ssize_t height, width;
    int itemsize;
    PyObject *result = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "y*w*nni", &residual, &plane, &height, &width, &itemsize))
        return NULL;
    if (height < 0 || width < 0 || (width && height > PY_SSIZE_T_MAX / 8 / width) || (itemsize != 1 && itemsize != 2))
        PyErr_SetString(PyExc_ValueError, "a size is out of range");
    else if (sized(&residual, (size_t)height * width * sizeof(int32_t), "residual") &&
             sized(&plane, (size_t)height * width * itemsize, "plane")) {
        Py_BEGIN_ALLOW_THREADS
        if (itemsize == 1)
            restore_u8(residual.buf, plane.buf, height, width);
        else
            restore_i16(residual.buf, plane.buf, height, width);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&residual);
    PyBuffer_Release(&plane);
    return result;
}

static PyObject *best(PyObject *self, PyObject *args) {
    (void)self, (void)args;
    return PyLong_FromLong(best_version());
}

static PyMethodDef methods[] = {
    {"convolve", convolve, METH_VARARGS, "kernels.h, convolve_rows"},
    {"lab_to_rgb", native_lab_to_rgb, METH_VARARGS, "lab.h, lab_to_rgb and lab_floats_to_rgb"},
    {"rgb_to_lightness", native_rgb_to_lightness, METH_VARARGS, "lab.h, rgb_to_lightness"},
    {"rgb_to_sums", native_rgb_to_sums, METH_VARARGS, "lab.h, rgb_to_sums"},
    {"restore", restore, METH_VARARGS, "kernels.h, restore_u8 and restore_i16"},
    {"best_version", best, METH_NOARGS, "kernels.h, best_version"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&module);
}
