/* convolve_rows and head_rows of kernels.h for Python. */
#include "native.h"

#include "kernels.h"

#include <stdlib.h>

enum { MOST_LAYERS = 2, MOST_PLANES = 8, MOST_CHANNELS = 4096, ALIGNMENT = 32 };

/* A work, and the buffers that it points to. */
typedef struct {
    Work work;
    Convolution layers[MOST_LAYERS];
    Planes planes[MOST_PLANES];
    Py_buffer buffers[4 * MOST_LAYERS + MOST_PLANES];
    int held;
} Given;

static int refused(const char *why) {
    PyErr_SetString(PyExc_ValueError, why);
    return 0;
}

static int add_layer(Given *given, PyObject *from) {
    Convolution *layer = &given->layers[given->work.depth];
    Py_buffer *own = &given->buffers[given->held];
    if (!PyTuple_Check(from) || !PyArg_ParseTuple(from, "y*y*y*y*iii", &own[0], &own[1], &own[2], &own[3], &layer->side,
                                                  &layer->inputs, &layer->outputs))
        return PyErr_Occurred() ? 0 : refused("a layer is not a tuple");
    given->held += 4;
    given->work.depth++;
    if ((layer->side != 1 && layer->side != 3) || layer->inputs <= 0 || layer->inputs % 2 || layer->inputs > MOST_CHANNELS ||
        layer->outputs <= 0 || layer->outputs % 8 || layer->outputs > MOST_CHANNELS)
        return refused("a size is out of range");
    const size_t products = (size_t)layer->inputs * layer->outputs;
    if (!sized(&own[0], layer->side * layer->side * products * sizeof(int16_t), "weights") ||
        !sized(&own[1], layer->side == 3 ? 16 * products * sizeof(int16_t) : 0, "tiled weights") ||
        !sized(&own[2], (size_t)layer->outputs * sizeof(int32_t), "bias") || !sized(&own[3], (size_t)layer->outputs, "shift"))
        return 0;
    layer->weights = own[0].buf, layer->tiled = own[1].buf, layer->bias = own[2].buf, layer->shift = own[3].buf;
    for (int o = 0; o < layer->outputs; o++)
        if (layer->shift[o] > 31)
            return refused("a shift is more than 31");
    return 1;
}

static int add_planes(Given *given, PyObject *from, int left) {
    Planes *planes = &given->planes[given->work.count];
    Py_buffer *own = &given->buffers[given->held];
    if (!PyTuple_Check(from) ||
        !PyArg_ParseTuple(from, "y*ippp", own, &planes->channels, &planes->is_signed, &planes->interleaved, &planes->folded))
        return PyErr_Occurred() ? 0 : refused("planes are not a tuple");
    given->held++;
    given->work.count++;
    planes->data = own->buf;
    if (planes->channels <= 0 || planes->channels > left)
        return refused("there are more planes than inputs");
    if (planes->folded && (planes->channels % 4 || planes->is_signed || !planes->interleaved))
        return refused("planes cannot be folded");
    return sized(own, (size_t)planes->channels * given->work.height * given->work.width, "planes");
}

/* Of layers, planes and sizes as of Work, all of which are checked. */
static int gather(Given *given, PyObject *layers, PyObject *planes) {
    Work *work = &given->work;
    const Py_ssize_t depth = PyTuple_Size(layers), count = PyTuple_Size(planes);
    if (depth < 1 || depth > MOST_LAYERS || count < 1 || count > MOST_PLANES || work->height <= 0 || work->width <= 0 ||
        work->top < 0 || work->top > work->bottom || work->bottom > work->height || work->half < -1 || work->half > 1)
        return refused("a size is out of range");
    for (Py_ssize_t k = 0; k < depth; k++)
        if (!add_layer(given, PyTuple_GetItem(layers, k)))
            return 0;
    int left = given->layers[0].inputs;
    for (Py_ssize_t k = 0; k < count; k++) {
        if (!add_planes(given, PyTuple_GetItem(planes, k), left))
            return 0;
        left -= given->planes[k].channels;
    }
    work->layers = given->layers;
    work->planes = given->planes;
    return 1;
}

static void release(Given *given) {
    while (given->held)
        PyBuffer_Release(&given->buffers[--given->held]);
}

static void *aligned(void *memory) {
    return (void *)(((uintptr_t)memory + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
}

/* convolve(layers, planes, height, width, top, bottom, half, out, added or None, kind, channels, rows, out_top, version). Layers are tuples
   of weights, tiled weights, bias, shift, side, inputs and outputs; planes of a buffer, its channels, whether it is signed, interleaved and
   folded. */
static PyObject *convolve(PyObject *self, PyObject *args) {
    Given given = {.held = 0};
    Work *work = &given.work;
    PyObject *layers, *planes, *result = NULL;
    Py_buffer data, added;
    Output out;
    int version;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!iiiiiw*z*iiiii", &PyTuple_Type, &layers, &PyTuple_Type, &planes, &work->height,
                          &work->width, &work->top, &work->bottom, &work->half, &data, &added, &out.kind, &out.channels, &out.rows,
                          &out.top, &version))
        return NULL;
    out.data = data.buf, out.added = added.buf;
    if (!gather(&given, layers, planes))
        goto end;
    if (work->depth != 1 || out.kind < WHOLE || out.kind > UNFOLDED || (out.added && out.kind < INTERLEAVED) ||
        (out.kind == UNFOLDED && out.channels % 4) || out.channels <= 0 ||
        out.channels > work->layers->outputs || out.top < 0 || out.top > work->top || out.rows < 0 ||
        work->bottom - out.top > out.rows || !is_version(version)) {
        refused("a size is out of range");
        goto end;
    }
    const size_t size = (size_t)out.channels * out.rows * work->width;
    if (sized(&data, size * (out.kind == WHOLE ? sizeof(int32_t) : 1), "out") &&
        (out.added == NULL || sized(&added, size, "what is added"))) {
        void *memory = malloc(convolve_scratch(work->layers) + ALIGNMENT);
        if (memory == NULL) {
            PyErr_NoMemory();
            goto end;
        }
        Py_BEGIN_ALLOW_THREADS
        convolve_rows(work, &out, aligned(memory), version);
        Py_END_ALLOW_THREADS
        free(memory);
        result = Py_NewRef(Py_None);
    }
end:
    release(&given);
    PyBuffer_Release(&data);
    PyBuffer_Release(&added);
    return result;
}

/* head(layers, planes, height, width, top, bottom, half, shifts, spreads, largest_shift, largest_spread, version) */
static PyObject *head(PyObject *self, PyObject *args) {
    Given given = {.held = 0};
    Work *work = &given.work;
    PyObject *layers, *planes, *result = NULL;
    Py_buffer shifts, spreads;
    Head out;
    int version;
    (void)self;
    if (!PyArg_ParseTuple(args, "O!O!iiiiiw*w*iii", &PyTuple_Type, &layers, &PyTuple_Type, &planes, &work->height,
                          &work->width, &work->top, &work->bottom, &work->half, &shifts, &spreads, &out.largest_shift,
                          &out.largest_spread, &version))
        return NULL;
    out.shifts = shifts.buf, out.spreads = spreads.buf;
    if (!gather(&given, layers, planes))
        goto end;
    if (work->half < 0 || out.largest_shift < 0 || out.largest_shift > INT16_MAX || out.largest_spread < 0 ||
        out.largest_spread > UINT8_MAX || !is_version(version) ||
        (work->depth > 1 && work->layers[1].inputs > work->layers[0].outputs)) {
        refused("a size is out of range");
        goto end;
    }
    for (int k = 0; k < work->depth; k++)
        if (work->layers[k].side != 1) {
            refused("a head has a side of 1");
            goto end;
        }
    const size_t size = (size_t)3 * work->height * work->width;
    if (sized(&shifts, size * sizeof(int16_t), "shifts") && sized(&spreads, size, "spreads")) {
        void *memory = malloc(head_scratch(work->layers, work->depth) + ALIGNMENT);
        if (memory == NULL) {
            PyErr_NoMemory();
            goto end;
        }
        Py_BEGIN_ALLOW_THREADS
        head_rows(work, &out, aligned(memory), version);
        Py_END_ALLOW_THREADS
        free(memory);
        result = Py_NewRef(Py_None);
    }
end:
    release(&given);
    PyBuffer_Release(&shifts);
    PyBuffer_Release(&spreads);
    return result;
}

PyMethodDef network_methods[] = {
    {"convolve", convolve, METH_VARARGS, "kernels.h, convolve_rows"},
    {"head", head, METH_VARARGS, "kernels.h, head_rows"},
    {NULL, NULL, 0, NULL},
};
