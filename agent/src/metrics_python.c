/* Settings of metrics; metrics that come from Python ready-made (another library's registry); and
 * reading our own back. GIL held. */
#include <stddef.h>

#include "args.h"
#include "encode.h"
#include "exporter.h"
#include "metrics.h"
#include "module.h"
#include "ring.h"
#include "value.h"

#define METRIC_BYTES_MAX (1u << 20)

/* set_metrics(enabled, exponential, temporality, exemplar_filter, interval_ms, cells_max) */
static PyObject *set_metrics(PyObject *module, PyObject *args) {
    int enabled, exponential, temporality, filter;
    unsigned interval, cells;

    if (!PyArg_ParseTuple(args, "ppiiII", &enabled, &exponential, &temporality, &filter, &interval,
                          &cells))
        return NULL;
    metrics_config.exponential = exponential;
    metrics_config.temporality =
            temporality >= 0 && temporality <= 2 ? (enum temporality) temporality : 0;
    metrics_config.filter = filter >= 0 && filter <= 2 ? (enum exemplar_filter) filter : 0;
    metrics_config.interval_ms = interval < 100 ? 100 : interval > 3600000 ? 3600000 : interval;
    metrics_config.cells_max = cells < 2 ? 2 : cells > 100000 ? 100000 : cells;
    metrics_config.enabled = enabled;
    if (enabled)
        exporter_ensure();
    Py_RETURN_NONE;
}

/* expect_metrics(): there are some that are asked for at each export. */
static PyObject *expect_metrics(PyObject *module, PyObject *unused) {
    if (metrics_config.enabled)
        metrics_touch();
    Py_RETURN_NONE;
}

/* ---- Ready-made metrics ---- */

static double number(PyObject *o) {
    double d = o && o != Py_None ? PyFloat_AsDouble(o) : 0;

    if (PyErr_Occurred()) {
        PyErr_Clear();
        d = 0;
    }
    return d;
}

static void put_double(struct buf *b, unsigned tag, double v) {
    uint64_t bits;
    memcpy(&bits, &v, 8);
    pb_put_fixed64(b, tag, bits);
}

static void put_labels(struct buf *b, unsigned tag, PyObject *labels) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    PyObject *copy = PyDict_Check(labels) ? PyDict_Copy(labels) : NULL;

    while (copy && PyDict_Next(copy, &at, &key, &value))
        value_put(b, tag, key, value);
    Py_XDECREF(copy);
    PyErr_Clear();
}

/* (value, labels, wall seconds or None) as prometheus_client has them: ids under the labels
 * trace_id and span_id. */
static void put_exemplar(struct buf *b, unsigned tag, PyObject *e) {
    uint32_t mark;
    double at;

    if (!e || !PyTuple_Check(e) || PyTuple_GET_SIZE(e) != 3 ||
        !PyDict_Check(PyTuple_GET_ITEM(e, 1)))
        return;
    mark = pb_open(b, tag);
    if (mark == UINT32_MAX)
        return;
    at = number(PyTuple_GET_ITEM(e, 2));
    pb_put_fixed64(b, 0x11, at > 0 ? (uint64_t) (at * 1e9) : clock_wall_ns());
    put_double(b, 0x19, number(PyTuple_GET_ITEM(e, 0)));
    for (int i = 0; i < 2; i++) {
        static const char *const names[] = {"span_id", "trace_id"};
        PyObject *id = PyDict_GetItemString(PyTuple_GET_ITEM(e, 1), names[i]), *hold;
        const char *text;
        uint8_t bytes[16];
        size_t n;

        if (!id || !PyUnicode_Check(id) || text_view(id, &text, &n, &hold) < 0)
            continue;
        if (n == (i ? 32 : 16) && hex_read(text, bytes, n / 2) > 0)
            pb_put_bytes(b, i ? 0x2a : 0x22, bytes, n / 2);
        Py_XDECREF(hold);
    }
    pb_close(b, mark);
}

static void put_exemplars(struct buf *b, unsigned tag, PyObject *list) {
    for (Py_ssize_t i = 0; list && PyList_Check(list) && i < PyList_GET_SIZE(list); i++)
        put_exemplar(b, tag, PyList_GET_ITEM(list, i));
}

static void put_packed(struct buf *b, unsigned tag, PyObject *list, bool integers) {
    Py_ssize_t n = list && PyList_Check(list) ? PyList_GET_SIZE(list) : 0;
    uint32_t mark = pb_open(b, tag);

    for (Py_ssize_t i = 0; mark != UINT32_MAX && i < n && i < 4096; i++) {
        double d = number(PyList_GET_ITEM(list, i));
        uint64_t bits = integers && d > 0 ? (uint64_t) d : 0;
        if (!integers)
            memcpy(&bits, &d, 8);
        buf_append(b, &bits, 8);
    }
    if (mark != UINT32_MAX)
        pb_close(b, mark);
}

enum ready { READY_GAUGE, READY_COUNTER, READY_UP_DOWN, READY_HISTOGRAM, READY_SUMMARY };

/* (labels, created seconds, value, exemplars), or for a distribution
 * (labels, created seconds, count, sum, bounds or quantiles, counts or values, exemplars) */
static void put_point(struct buf *b, enum ready kind, PyObject *p, uint64_t now_ns) {
    double created = number(PyTuple_GET_ITEM(p, 1));
    uint32_t mark = pb_open(b, 0x0a);

    if (mark == UINT32_MAX)
        return;
    put_labels(b, kind == READY_HISTOGRAM ? 0x4a : 0x3a, PyTuple_GET_ITEM(p, 0));
    if (created > 0)
        pb_put_fixed64(b, 0x11, (uint64_t) (created * 1e9));
    pb_put_fixed64(b, 0x19, now_ns);
    if (kind <= READY_UP_DOWN) {
        put_double(b, 0x21, number(PyTuple_GET_ITEM(p, 2)));
        put_exemplars(b, 0x2a, PyTuple_GET_ITEM(p, 3));
    } else {
        double n = number(PyTuple_GET_ITEM(p, 2));
        pb_put_fixed64(b, 0x21, n > 0 ? (uint64_t) n : 0);
        put_double(b, 0x29, number(PyTuple_GET_ITEM(p, 3)));
        if (kind == READY_HISTOGRAM) {
            put_packed(b, 0x32, PyTuple_GET_ITEM(p, 5), true);
            put_packed(b, 0x3a, PyTuple_GET_ITEM(p, 4), false);
            put_exemplars(b, 0x42, PyTuple_GET_ITEM(p, 6));
        }
        PyObject *at = PyTuple_GET_ITEM(p, 4), *values = PyTuple_GET_ITEM(p, 5);
        for (Py_ssize_t i = 0; kind == READY_SUMMARY && PyList_Check(at) && PyList_Check(values) &&
                               i < PyList_GET_SIZE(at) && i < PyList_GET_SIZE(values);
             i++) {
            uint32_t quantile = pb_open(b, 0x32);
            if (quantile == UINT32_MAX)
                break;
            put_double(b, 0x09, number(PyList_GET_ITEM(at, i)));
            put_double(b, 0x11, number(PyList_GET_ITEM(values, i)));
            pb_close(b, quantile);
        }
    }
    pb_close(b, mark);
}

static void put_text(struct buf *b, unsigned tag, PyObject *o) {
    const char *text;
    size_t n;
    PyObject *hold;

    text_of(o, &text, &n, &hold);
    if (n)
        pb_put_bytes(b, tag, text, text_cut(text, n, 1024));
    Py_XDECREF(hold);
}

/* Hands one encoded Metric to the export thread. */
static void send_metric(uint16_t scope, const struct buf *metric) {
    char *p = ring_reserve(SIGNAL_METRIC, scope, pb_bytes_size(metric->used));

    count_locked(METRICS_FINISHED);
    if (!p)
        return;
    pb_bytes(p, 0x12, metric->data, metric->used);
    ring_commit();
}

/* send_metric(scope tracer or None, kind, name, unit, description, points) */
static PyObject *py_send_metric(PyObject *module, PyObject *args) {
    static const unsigned tags[] = {0x2a, 0x3a, 0x3a, 0x4a, 0x5a};
    PyObject *scope, *name, *unit, *description, *points;
    uint64_t now_ns = clock_wall_ns();
    struct buf b;
    uint32_t mark;
    int kind;

    if (!PyArg_ParseTuple(args, "OiUOOO!", &scope, &kind, &name, &unit, &description, &PyList_Type,
                          &points))
        return NULL;
    if (!metrics_config.enabled || kind < 0 || kind > READY_SUMMARY)
        Py_RETURN_NONE;
    buf_init(&b, NULL, 0, METRIC_BYTES_MAX);
    put_text(&b, 0x0a, name);
    put_text(&b, 0x12, description);
    put_text(&b, 0x1a, unit);
    mark = pb_open(&b, tags[kind]);
    for (Py_ssize_t i = 0; mark != UINT32_MAX && i < PyList_GET_SIZE(points); i++) {
        PyObject *p = PyList_GET_ITEM(points, i);
        Py_ssize_t wanted = kind <= READY_UP_DOWN ? 4 : 7;
        if (PyTuple_Check(p) && PyTuple_GET_SIZE(p) == wanted && b.used < METRIC_BYTES_MAX - 65536)
            put_point(&b, (enum ready) kind, p, now_ns);
    }
    if (mark != UINT32_MAX) {
        if (kind == READY_COUNTER || kind == READY_UP_DOWN || kind == READY_HISTOGRAM)
            pb_put_varint(&b, 0x10, 2); /* cumulative */
        if (kind == READY_COUNTER)
            pb_put_varint(&b, 0x18, 1);
        pb_close(&b, mark);
        send_metric(Py_TYPE(scope) == &Tracer_Type ? tracer_scope(scope) : 0, &b);
    }
    buf_done(&b);
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* ---- Reading back ---- */

static PyObject *attributes_of(const struct cell *c) {
    PyObject *dict = PyDict_New();

    for (unsigned i = 0; dict && i < c->pairs_n; i++) {
        PyObject *value = c->pairs[2 * i + 1];
        if (PyBytes_CheckExact(value))
            value = value_decode(PyBytes_AS_STRING(value),
                                 PyBytes_AS_STRING(value) + PyBytes_GET_SIZE(value), 0);
        else
            Py_INCREF(value);
        if (!value || PyDict_SetItem(dict, c->pairs[2 * i], value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    if (c->pairs_n)
        return dict;
    /* Those that came encoded, and the overflow cell's. */
    for (const char *p = c->attributes, *end = p + c->attributes_n; dict && p < end;) {
        size_t n;
        p++;
        n = pb_read_varint(&p);
        if (pair_decode(p, dict) < 0)
            Py_CLEAR(dict);
        p += n;
    }
    return dict;
}

/* Numbers; or (count, sum, min, max, counts, scale, zero count, first positive, positive counts,
 * first negative, negative counts). */
static PyObject *value_of(const struct instrument *m, struct cell *c) {
    const struct distribution *d = c->distribution;
    uint64_t bits = atomic_load_explicit(&c->real, memory_order_relaxed);
    int64_t integer = atomic_load_explicit(&c->integer, memory_order_relaxed);
    PyObject *lists[3], *r;
    double real;

    memcpy(&real, &bits, 8);
    if (!d && !atomic_load_explicit(&c->is_real, memory_order_relaxed))
        return PyLong_FromLongLong(integer);
    if (!d)
        return PyFloat_FromDouble((double) integer + real);
    for (int i = 0; i < 3; i++) {
        const uint64_t *counts = i == 2 ? d->counts : d->buckets[i].counts;
        uint32_t n = i == 2 ? m->bounds_n + 1u : d->buckets[i].n;

        if (m->exponential == (i == 2))
            n = 0;
        lists[i] = PyList_New(0);
        for (uint32_t k = 0; lists[i] && k < n; k++) {
            PyObject *v = PyLong_FromUnsignedLongLong(counts[k]);
            if (!v || PyList_Append(lists[i], v) < 0)
                Py_CLEAR(lists[i]);
            Py_XDECREF(v);
        }
        if (!lists[i])
            return NULL;
    }
    r = Py_BuildValue("(KdddNiKiNiN)", (unsigned long long) d->count, d->sum, d->min, d->max,
                      lists[2], (int) d->scale, (unsigned long long) d->zero_count,
                      m->exponential ? (int) d->buckets[0].first : 0, lists[0],
                      m->exponential ? (int) d->buckets[1].first : 0, lists[1]);
    return r;
}

static PyObject *points_of(const struct instrument *m) {
    PyObject *points = PyList_New(0);
    struct cell *c = atomic_load_explicit(&m->first, memory_order_relaxed);

    for (; points && c; c = atomic_load_explicit(&c->next, memory_order_relaxed)) {
        PyObject *attributes, *value, *pair;

        if (!atomic_load_explicit(&c->is_set, memory_order_relaxed) ||
            (m->kind >= METRIC_OBSERVED_COUNTER && c->round != m->round))
            continue;
        attributes = attributes_of(c);
        value = value_of(m, c);
        pair = attributes && value
                       ? Py_BuildValue("(OOK)", attributes, value, (unsigned long long) c->start_ns)
                       : NULL;
        Py_XDECREF(attributes);
        Py_XDECREF(value);
        if (!pair || PyList_Append(points, pair) < 0)
            Py_CLEAR(points);
        Py_XDECREF(pair);
    }
    return points;
}

static PyObject *bounds_of(const struct instrument *m) {
    PyObject *list = PyList_New(0);

    for (unsigned i = 0; list && i < m->bounds_n; i++) {
        PyObject *v = PyFloat_FromDouble(m->bounds[i]);
        if (!v || PyList_Append(list, v) < 0)
            Py_CLEAR(list);
        Py_XDECREF(v);
    }
    return list;
}

/* [(name, unit, kind, bounds or None if exponential, [(attributes, value, start), …]), …]. The
 * process's own are brought up to date by the export thread alone. */
static PyObject *metrics_snapshot(PyObject *module, PyObject *unused) {
    PyObject *all = PyList_New(0);
    unsigned n = atomic_load_explicit(&instruments_n, memory_order_relaxed);

    thread_state();
    for (unsigned i = 0; all && i < n; i++) {
        const struct instrument *m = instruments[i];
        PyObject *points = points_of(m), *bounds, *entry;

        if (points && !PyList_GET_SIZE(points)) {
            Py_DECREF(points);
            continue;
        }
        bounds = m->exponential ? (Py_INCREF(Py_None), Py_None) : bounds_of(m);
        entry = points && bounds
                        ? Py_BuildValue("(ssiOO)", m->name, m->unit, (int) m->kind, bounds, points)
                        : NULL;
        Py_XDECREF(points);
        Py_XDECREF(bounds);
        if (!entry || PyList_Append(all, entry) < 0)
            Py_CLEAR(all);
        Py_XDECREF(entry);
    }
    return all;
}

PyMethodDef metrics_functions[] = {
        {"set_metrics", set_metrics, METH_VARARGS,
         "set_metrics(enabled, exponential, temporality, exemplar_filter, interval_ms, "
         "cells_max)"},
        {"expect_metrics", expect_metrics, METH_NOARGS,
         "Has exports made, also where none of our own instruments is used."},
        {"send_metric", py_send_metric, METH_VARARGS,
         "send_metric(scope, kind, name, unit, description, points)"},
        {"set_observer", observe_set, METH_O, "set_observer(function): runs all callbacks"},
        {"metrics_snapshot", metrics_snapshot, METH_NOARGS, "All instruments and their values."},
        {NULL},
};
