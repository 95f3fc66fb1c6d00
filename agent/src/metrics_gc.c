/* What the interpreter does beside the application's work: garbage collection, told by
 * gc.callbacks, and steps that keep an event loop busy. GIL held. */
#include "args.h"
#include "metrics.h"
#include "module.h"

#define GENERATIONS 3

static const double pause_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                      0.01,   0.025,   0.05,   0.1,   0.25,   1};
static const double blocked_bounds[] = {0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30};

static struct instrument *collections, *collected, *uncollectable, *pauses, *blocked;
static struct { struct cell *collections, *collected, *uncollectable, *pauses; } cells[GENERATIONS];
static struct cell *blocked_cell;
static uint64_t started_ns;

static int64_t number(PyObject *info, const char *key) {
    PyObject *o = PyDict_Check(info) ? PyDict_GetItemString(info, key) : NULL;
    int64_t v = o && PyLong_Check(o) ? PyLong_AsLongLong(o) : 0;

    PyErr_Clear();
    return v;
}

/* gc.callbacks: called with "start" or "stop", and a dict. */
static PyObject *on_collection(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    int64_t generation;

    if (n != 2 || !PyUnicode_Check(args[0]) || !metrics_config.enabled)
        Py_RETURN_NONE;
    if (PyUnicode_CompareWithASCIIString(args[0], "start") == 0) {
        started_ns = clock_monotonic_ns();
        Py_RETURN_NONE;
    }
    generation = number(args[1], "generation");
    if (generation < 0 || generation >= GENERATIONS || !cells[generation].pauses)
        Py_RETURN_NONE;
    metrics_touch();
    cell_add_integer(collections, cells[generation].collections, 1);
    cell_add_integer(collected, cells[generation].collected, number(args[1], "collected"));
    cell_add_integer(uncollectable, cells[generation].uncollectable,
                     number(args[1], "uncollectable"));
    if (started_ns)
        cell_record(pauses, cells[generation].pauses,
                    (double) (clock_monotonic_ns() - started_ns) / 1e9);
    started_ns = 0;
    Py_RETURN_NONE;
}

void metrics_loop_blocked(uint64_t ns) {
    if (!blocked_cell || !metrics_config.enabled)
        return;
    metrics_touch();
    cell_record(blocked, blocked_cell, (double) ns / 1e9);
}

static struct cell *generation_cell(struct instrument *m, int generation) {
    PyObject *dict = m ? Py_BuildValue("{s:i}", "cpython.gc.generation", generation) : NULL;
    struct cell *c = dict ? cell_of(m, dict, NULL, NULL) : NULL;

    Py_XDECREF(dict);
    return c;
}

static void make_instruments(void) {
    collections = instrument_get(METRIC_COUNTER, 0, "cpython.gc.collections", "{collection}",
                                 "Runs of the garbage collector.", NULL, 0);
    collected = instrument_get(METRIC_COUNTER, 0, "cpython.gc.collected_objects", "{object}",
                               "Objects it has freed.", NULL, 0);
    uncollectable = instrument_get(METRIC_COUNTER, 0, "cpython.gc.uncollectable_objects",
                                   "{object}", "Objects it could not free.", NULL, 0);
    pauses = instrument_get(METRIC_HISTOGRAM, 0, "varan.gc.pause", "s",
                            "How long a run kept everything waiting.", pause_bounds,
                            sizeof(pause_bounds) / sizeof(double));
    blocked = instrument_get(METRIC_HISTOGRAM, 0, "varan.loop.blocked", "s",
                             "Steps of a request that kept its event loop for more than 50 ms.",
                             blocked_bounds, sizeof(blocked_bounds) / sizeof(double));
    for (int g = 0; g < GENERATIONS; g++) {
        cells[g].collections = generation_cell(collections, g);
        cells[g].collected = generation_cell(collected, g);
        cells[g].uncollectable = generation_cell(uncollectable, g);
        cells[g].pauses = generation_cell(pauses, g);
        if (!cells[g].collections || !cells[g].collected || !cells[g].uncollectable)
            cells[g].pauses = NULL;
    }
    blocked_cell = blocked ? cell_of(blocked, NULL, NULL, NULL) : NULL;
}

static PyObject *install_runtime_metrics(PyObject *module, PyObject *unused) {
    static PyMethodDef callback = {"varan_gc", (PyCFunction) (void (*)(void)) on_collection,
                                   METH_FASTCALL, NULL};
    PyObject *gc, *list, *function;

    process_metrics_install(0);
    make_instruments();
    gc = PyImport_ImportModule("gc");
    list = gc ? PyObject_GetAttrString(gc, "callbacks") : NULL;
    function = PyCFunction_New(&callback, NULL);
    if (list && function && PyList_Check(list))
        PyList_Append(list, function);
    Py_XDECREF(function);
    Py_XDECREF(list);
    Py_XDECREF(gc);
    PyErr_Clear();
    Py_RETURN_NONE;
}

PyMethodDef metrics_gc_functions[] = {
        {"install_runtime_metrics", install_runtime_metrics, METH_NOARGS,
         "Starts counting what the interpreter and the process do."},
        {NULL},
};
