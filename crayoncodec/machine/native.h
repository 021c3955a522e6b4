/* What the files of crayoncodec.machine._native share. */
#ifndef CRAYONCODEC_NATIVE_H
#define CRAYONCODEC_NATIVE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

/* Whether a buffer has that many bytes; ValueError if not. */
int sized(const Py_buffer *buffer, size_t size, const char *what);

extern PyMethodDef network_methods[], level_methods[], lab_methods[];

#endif
