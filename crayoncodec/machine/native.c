/* The module crayoncodec.machine._native: kernels.h for Python, under the stable ABI. Sizes are checked here once more. */
#include "native.h"

#include "kernels.h"

int sized(const Py_buffer *buffer, size_t size, const char *what) {
    if (buffer->buf != NULL && (size_t)buffer->len == size)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes, expected %zu", what, buffer->len, size);
    return 0;
}

int all_sized(const Held *held, int count) {
    for (int k = 0; k < count; k++)
        if (!(held[k].may_lack && held[k].buffer->buf == NULL) &&
            !sized(held[k].buffer, held[k].count * held[k].item, held[k].what))
            return 0;
    return 1;
}

PyObject *done(Py_buffer *buffers, int count, PyObject *result) {
    while (count)
        PyBuffer_Release(&buffers[--count]);
    return result;
}

PyObject *out_of_range(void) {
    PyErr_SetString(PyExc_ValueError, "a size is out of range");
    return NULL;
}

int is_side(Py_ssize_t length) {
    return 0 < length && length <= 1 << 30;
}

int are_halves(Py_ssize_t half, Py_ssize_t whole) {
    return is_side(whole) && half == (whole + 1) / 2;
}

int is_version(int version) {
    return 0 <= version && version <= best_version();
}

int is_band(Py_ssize_t first, Py_ssize_t last, Py_ssize_t size) {
    return 0 <= first && first <= last && last <= size;
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
    {"restore", restore, METH_VARARGS, "kernels.h, restore_u8 and restore_i16"},
    {"best_version", best, METH_NOARGS, "kernels.h, best_version"},
    {NULL, NULL, 0, NULL},
};

static int add_others(PyObject *module) {
    PyMethodDef *const others[] = {network_methods, level_methods, symbol_methods, lab_methods, refine_methods};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        if (PyModule_AddFunctions(module, others[k]))
            return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_others}, {0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&module);
}
