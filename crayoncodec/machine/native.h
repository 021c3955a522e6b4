/* What the files of crayoncodec.machine._native share. */
#ifndef CRAYONCODEC_NATIVE_H
#define CRAYONCODEC_NATIVE_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

/* Whether a buffer has that many bytes; ValueError if not. */
int sized(const Py_buffer *buffer, size_t size, const char *what);

/* Buffers and what they have to hold: `count` numbers of `item` bytes, or nothing if `may_lack`. */
typedef struct {
    Py_buffer *buffer;
    size_t count, item;
    const char *what;
    int may_lack;
} Held;

int all_sized(const Held *held, int count);

/* Lets go of the buffers and gives the result. */
PyObject *done(Py_buffer *buffers, int count, PyObject *result);

/* ValueError. */
PyObject *out_of_range(void);

/* Whether a picture's or a level's side may be that long; whether half of a side, rounded up; whether there is a version. */
int is_side(Py_ssize_t length);
int are_halves(Py_ssize_t half, Py_ssize_t whole);
int is_version(int version);

/* Whether first to last are some of `size`. */
int is_band(Py_ssize_t first, Py_ssize_t last, Py_ssize_t size);

extern PyMethodDef network_methods[], level_methods[], symbol_methods[], lab_methods[], refine_methods[];

#endif
