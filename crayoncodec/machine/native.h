/* Functions of the module _native that have a file of their own. */
#ifndef CRAYONCODEC_NATIVE_H
#define CRAYONCODEC_NATIVE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

PyObject *native_lab_to_rgb(PyObject *self, PyObject *args);
PyObject *native_rgb_to_lightness(PyObject *self, PyObject *args);
PyObject *native_rgb_to_sums(PyObject *self, PyObject *args);

#endif
