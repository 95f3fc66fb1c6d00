/* Instruments as Python sees them: Counter, UpDownCounter, Histogram, Gauge, Observable. They take
 * attributes as OpenTelemetry does (a mapping) or as keyword arguments; bind() finds the cell once
 * for all updates. Values that are not numbers are dropped: no update raises but for wrong calls.
 */
#include <stddef.h>

#include "args.h"
#include "metrics.h"
#include "module.h"
#include "value.h"

typedef struct {
    PyObject_HEAD struct instrument *m; /* NULL: there was no room */
    struct cell *bound;
    PyObject *name;
    PyObject *weak_references;
} Instrument;

enum update { ADD, SET, RECORD };

static void apply(struct instrument *m, struct cell *c, enum update how, PyObject *amount) {
    bool real = false;
    int64_t integer = 0;
    double d = 0;
    int overflow = 0;

    if (PyLong_CheckExact(amount) || PyLong_Check(amount)) {
        integer = PyLong_AsLongLongAndOverflow(amount, &overflow);
        if (overflow) {
            d = PyLong_AsDouble(amount);
            real = true;
        }
    } else {
        d = PyFloat_CheckExact(amount) ? PyFloat_AS_DOUBLE(amount) : PyFloat_AsDouble(amount);
        real = true;
    }
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return;
    }
    if (how == RECORD)
        cell_record(m, c, real ? d : (double) integer);
    else if (how == SET)
        cell_set(m, c, real, integer, d);
    else if (real)
        cell_add_real(m, c, d);
    else
        cell_add_integer(m, c, integer);
}

/* A mapping that is no dict, as one; new reference or NULL. */
static PyObject *as_dict(PyObject *mapping) {
    PyObject *dict = PyDict_New();

    if (dict && PyDict_Update(dict, mapping) < 0)
        Py_CLEAR(dict);
    PyErr_Clear();
    return dict;
}

/* Finds the cell for attributes given in either way. `names` are the keyword arguments. */
static struct cell *find(struct instrument *m, PyObject *attributes, PyObject *names,
                         PyObject *const *values) {
    struct cell *c;
    PyObject *dict;

    if (!attributes || attributes == Py_None || PyDict_Check(attributes))
        return cell_of(m, attributes == Py_None ? NULL : attributes, names, values);
    dict = as_dict(attributes);
    c = cell_of(m, dict, names, values);
    Py_XDECREF(dict);
    return c;
}

/* Keyword arguments that are not attributes: those of the OpenTelemetry API. */
struct known {
    PyObject *amount, *attributes;
    PyObject *values[METRIC_ATTRIBUTES_MAX]; /* NULL: was one of those */
};

static bool take_known(struct known *k, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    static const char *const texts[] = {"amount", "attributes", "context"};
    Py_ssize_t count = PyTuple_GET_SIZE(names);

    if (count > METRIC_ATTRIBUTES_MAX) {
        PyErr_SetString(PyExc_TypeError, "too many attributes");
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = args[n + i];
        int which = -1;
        for (int t = 0; t < 3 && PyUnicode_GET_LENGTH(name) < 11; t++)
            if (PyUnicode_CompareWithASCIIString(name, texts[t]) == 0)
                which = t;
        k->values[i] = which < 0 ? value : NULL;
        if (which == 0)
            k->amount = value;
        else if (which == 1)
            k->attributes = value;
    }
    return true;
}

static PyObject *update(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names,
                        enum update how) {
    Instrument *o = (Instrument *) self;
    struct cell *c = o->bound;
    struct known k;

    k.amount = n > 0 ? args[0] : NULL;
    k.attributes = n > 1 ? args[1] : NULL;
    if (names && !take_known(&k, args, n, names))
        return NULL;
    if (!k.amount || n > 3) {
        PyErr_SetString(PyExc_TypeError, "takes a number and, if you like, attributes");
        return NULL;
    }
    if (!o->m || !metrics_config.enabled)
        Py_RETURN_NONE;
    metrics_touch();
    if (!c)
        c = find(o->m, k.attributes, names, k.values);
    if (c)
        apply(o->m, c, how, k.amount);
    Py_RETURN_NONE;
}

static PyObject *method_add(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    return update(self, args, n, names, ADD);
}

static PyObject *method_set(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    return update(self, args, n, names, SET);
}

static PyObject *method_record(PyObject *self, PyObject *const *args, Py_ssize_t n,
                               PyObject *names) {
    return update(self, args, n, names, RECORD);
}

/* bind(attributes=None, **attributes): the same instrument, for this set of attributes alone. */
static PyObject *method_bind(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    Instrument *o = (Instrument *) self, *b;
    struct known k = {.attributes = n > 0 ? args[0] : NULL};

    if (!args_count("bind", n, 0, 1) || (names && !take_known(&k, args, n, names)))
        return NULL;
    b = (Instrument *) Py_TYPE(self)->tp_alloc(Py_TYPE(self), 0);
    if (!b)
        return NULL;
    Py_INCREF(o->name);
    b->name = o->name;
    b->m = o->m;
    if (b->m)
        b->bound = find(b->m, k.attributes, names, k.values);
    if (!b->bound)
        b->m = NULL;
    return (PyObject *) b;
}

/* observe([(value, attributes or None), …]): what a callback has returned, all of it. */
static PyObject *method_observe(PyObject *self, PyObject *list) {
    Instrument *o = (Instrument *) self;

    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list, please");
        return NULL;
    }
    if (!o->m || !metrics_config.enabled)
        Py_RETURN_NONE;
    metrics_touch();
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++) {
        PyObject *pair = PyList_GET_ITEM(list, i);
        struct cell *c;

        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2)
            continue;
        c = find(o->m, PyTuple_GET_ITEM(pair, 1), NULL, NULL);
        if (c)
            apply(o->m, c, SET, PyTuple_GET_ITEM(pair, 0));
    }
    Py_RETURN_NONE;
}

/* begin(): cells that are not observed from now on have gone. */
static PyObject *method_begin(PyObject *self, PyObject *unused) {
    if (((Instrument *) self)->m)
        ((Instrument *) self)->m->round++;
    Py_RETURN_NONE;
}

static double *read_bounds(PyObject *o, unsigned *ret_n) {
    PyObject *list = PySequence_Fast(o, "bounds");
    Py_ssize_t n = list ? PySequence_Fast_GET_SIZE(list) : -1;
    double *bounds = n >= 0 && n <= METRIC_BOUNDS_MAX ? PyMem_Calloc((size_t) n + 1, 8) : NULL;

    for (Py_ssize_t i = 0; bounds && i < n; i++) {
        bounds[i] = PyFloat_AsDouble(PySequence_Fast_GET_ITEM(list, i));
        if (PyErr_Occurred() || (i && !(bounds[i] > bounds[i - 1]))) {
            PyMem_Free(bounds);
            bounds = NULL;
        }
    }
    *ret_n = n > 0 ? (unsigned) n : 0;
    Py_XDECREF(list);
    PyErr_Clear();
    return bounds; /* NULL: not ascending numbers; the default is used */
}

static enum instrument_kind kind_of(PyTypeObject *type, int observed) {
    if (type == &Histogram_Type)
        return METRIC_HISTOGRAM;
    if (type == &UpDownCounter_Type)
        return METRIC_UP_DOWN;
    if (type == &Gauge_Type)
        return METRIC_GAUGE;
    if (type == &Observable_Type && observed >= METRIC_OBSERVED_COUNTER && observed < METRIC_KIND_N)
        return (enum instrument_kind) observed;
    return type == &Observable_Type ? METRIC_OBSERVED_GAUGE : METRIC_COUNTER;
}

/* Counter(name, unit="", description="", bounds=None, scope=None, kind=0); scope: a Tracer that
 * names it; kind: of an Observable */
static PyObject *instrument_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *keys[] = {"name", "unit", "description", "bounds", "scope", "kind", NULL};
    PyObject *name, *unit = NULL, *description = NULL, *bounds = NULL, *scope = NULL, *holds[3];
    const char *texts[3] = {"", "", ""};
    unsigned bounds_n = 0;
    double *list = NULL;
    size_t n;
    int kind = 0;
    Instrument *o;

    if (!PyArg_ParseTupleAndKeywords(args, names, "U|OOOOi", keys, &name, &unit, &description,
                                     &bounds, &scope, &kind))
        return NULL;
    o = (Instrument *) type->tp_alloc(type, 0);
    if (!o)
        return NULL;
    Py_INCREF(name);
    o->name = name;
    PyObject *objects[3] = {name, unit, description};
    for (int i = 0; i < 3; i++) {
        holds[i] = NULL;
        if (objects[i] && PyUnicode_Check(objects[i]) &&
            (text_view(objects[i], &texts[i], &n, &holds[i]) < 0 || strlen(texts[i]) != n))
            texts[i] = "";
    }
    if (bounds && bounds != Py_None)
        list = read_bounds(bounds, &bounds_n);
    if (*texts[0])
        o->m = instrument_get(kind_of(type, kind),
                              scope && Py_TYPE(scope) == &Tracer_Type ? tracer_scope(scope) : 0,
                              texts[0], texts[1], texts[2], list, bounds_n);
    PyMem_Free(list);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(holds[i]);
    return (PyObject *) o;
}

static void instrument_dealloc(PyObject *self) {
    if (((Instrument *) self)->weak_references)
        PyObject_ClearWeakRefs(self);
    Py_XDECREF(((Instrument *) self)->name);
    Py_TYPE(self)->tp_free(self);
}

static PyObject *get_name(PyObject *self, void *unused) {
    Py_INCREF(((Instrument *) self)->name);
    return ((Instrument *) self)->name;
}

static PyObject *instrument_repr(PyObject *self) {
    return PyUnicode_FromFormat("<%s %R>", Py_TYPE(self)->tp_name, ((Instrument *) self)->name);
}

#define KEYWORDS(f) ((PyCFunction) (void (*)(void))(f)), METH_FASTCALL | METH_KEYWORDS
#define BIND                                                                                       \
    { "bind", KEYWORDS(method_bind), "bind(attributes=None, **attributes): for this set alone." }

static PyMethodDef adder_methods[] = {
        {"add", KEYWORDS(method_add), "add(amount, attributes=None, **attributes)"}, BIND, {NULL}};
static PyMethodDef histogram_methods[] = {
        {"record", KEYWORDS(method_record), "record(amount, attributes=None, **attributes)"},
        BIND,
        {NULL}};
static PyMethodDef gauge_methods[] = {
        {"set", KEYWORDS(method_set), "set(amount, attributes=None, **attributes)"}, BIND, {NULL}};
static PyMethodDef observable_methods[] = {
        {"begin", method_begin, METH_NOARGS, "Begins a round of observations."},
        {"observe", method_observe, METH_O, "observe([(value, attributes), …])"},
        {NULL}};

static PyGetSetDef instrument_getset[] = {{"name", get_name, NULL, NULL, NULL}, {NULL}};

#define TYPE(symbol, text, doc, methods)                                                           \
    PyTypeObject symbol = {                                                                        \
            PyVarObject_HEAD_INIT(NULL, 0).tp_name = "varan._core." text,                          \
            .tp_doc = doc,                                                                         \
            .tp_basicsize = sizeof(Instrument),                                                    \
            .tp_flags = Py_TPFLAGS_DEFAULT,                                                        \
            .tp_weaklistoffset = offsetof(Instrument, weak_references),                            \
            .tp_new = instrument_new,                                                              \
            .tp_dealloc = instrument_dealloc,                                                      \
            .tp_repr = instrument_repr,                                                            \
            .tp_methods = methods,                                                                 \
            .tp_getset = instrument_getset,                                                        \
    }

TYPE(Counter_Type, "Counter", "A sum that only grows.", adder_methods);
TYPE(UpDownCounter_Type, "UpDownCounter", "A sum that grows and shrinks.", adder_methods);
TYPE(Histogram_Type, "Histogram", "A distribution of values.", histogram_methods);
TYPE(Gauge_Type, "Gauge", "The latest value.", gauge_methods);
TYPE(Observable_Type, "Observable", "Values told by callbacks.", observable_methods);
