/* Settings from Python, flushing, statistics. */
#include "args.h"
#include "caller.h"
#include "encode.h"
#include "exception_detail.h"
#include "exporter.h"
#include "keep.h"
#include "logs.h"
#include "module.h"
#include "outbox.h"
#include "profiler.h"
#include "red.h"
#include "resource.h"
#include "sampler.h"

static struct exporter_config exporter = {.interval_ms = 500, .timeout_ms = 10000};

static int copy_text(char *ret, size_t size, PyObject *o, const char *what) {
    const char *text;
    Py_ssize_t n;

    if (o == Py_None) {
        ret[0] = '\0';
        return 0;
    }
    text = PyUnicode_AsUTF8AndSize(o, &n);
    if (!text)
        return -1;
    if ((size_t) n >= size || memchr(text, '\0', (size_t) n)) {
        PyErr_Format(PyExc_ValueError, "%s is too long", what);
        return -1;
    }
    memcpy(ret, text, (size_t) n + 1);
    return 0;
}

/* set_tls(signal, on, authorities, certificate, key): files' names, or None */
static PyObject *set_tls(PyObject *module, PyObject *args) {
    PyObject *authorities, *certificate, *key;
    struct http_target *t;
    int signal, on;

    if (!PyArg_ParseTuple(args, "ipOOO", &signal, &on, &authorities, &certificate, &key))
        return NULL;
    if (signal < 0 || signal >= SIGNAL_N) {
        PyErr_SetString(PyExc_ValueError, "no such signal");
        return NULL;
    }
    t = &exporter.targets[signal];
    t->secure = on;
    if (copy_text(t->files.authorities, TLS_PATH_MAX, authorities, "file name") < 0 ||
        copy_text(t->files.certificate, TLS_PATH_MAX, certificate, "file name") < 0 ||
        copy_text(t->files.key, TLS_PATH_MAX, key, "file name") < 0)
        return NULL;
    exporter_configure(&exporter);
    Py_RETURN_NONE;
}

static PyObject *tls_is_available(PyObject *module, PyObject *unused) {
    return PyBool_FromLong(tls_available());
}

/* set_target(signal, host, port, unix_path, path, headers); signal: 0 traces, 1 logs, 2 metrics, 3
 * profiles; host None: off */
static PyObject *set_target(PyObject *module, PyObject *args) {
    PyObject *host, *port, *unix_path, *path, *headers;
    struct http_target *t;
    int signal;

    if (!PyArg_ParseTuple(args, "iOOOOO", &signal, &host, &port, &unix_path, &path, &headers))
        return NULL;
    if (signal < 0 || signal >= SIGNAL_N) {
        PyErr_SetString(PyExc_ValueError, "no such signal");
        return NULL;
    }
    t = &exporter.targets[signal];
    exporter.enabled[signal] = host != Py_None;
    if (copy_text(t->host, sizeof(t->host), host, "host") < 0 ||
        copy_text(t->port, sizeof(t->port), port, "port") < 0 ||
        copy_text(t->unix_path, sizeof(t->unix_path), unix_path, "socket path") < 0 ||
        copy_text(t->path, sizeof(t->path), path, "path") < 0 ||
        copy_text(t->headers, sizeof(t->headers), headers, "headers") < 0)
        return NULL;
    exporter_configure(&exporter);
    Py_RETURN_NONE;
}

/* set_export(interval_ms, timeout_ms, buffer_bytes, gzip) */
static PyObject *set_export(PyObject *module, PyObject *args) {
    unsigned interval, timeout, bytes;
    int gzip;

    if (!PyArg_ParseTuple(args, "IIIp", &interval, &timeout, &bytes, &gzip))
        return NULL;
    exporter.interval_ms = interval < 10 ? 10 : interval > 60000 ? 60000 : interval;
    exporter.timeout_ms = timeout < 100 ? 100 : timeout > 60000 ? 60000 : timeout;
    exporter.gzip = gzip;
    ring_set_bytes_max(bytes);
    exporter_configure(&exporter);
    Py_RETURN_NONE;
}

static uint16_t limit(unsigned v) {
    return (uint16_t) (v > 10000 ? 10000 : v);
}

/* set_limits(attributes, events, links, event_attributes, link_attributes, log_attributes,
 * value_length, log_value_length) */
static PyObject *set_limits(PyObject *module, PyObject *args) {
    unsigned attributes, events, links, event_attributes, link_attributes, log_attributes, length,
            log_length;

    if (!PyArg_ParseTuple(args, "IIIIIIII", &attributes, &events, &links, &event_attributes,
                          &link_attributes, &log_attributes, &length, &log_length))
        return NULL;
    span_limits.attributes = limit(attributes);
    span_limits.events = limit(events);
    span_limits.links = limit(links);
    span_limits.event_attributes = limit(event_attributes);
    span_limits.link_attributes = limit(link_attributes);
    logs_attributes_max = limit(log_attributes);
    value_length_max = length > VALUE_BYTES_MAX ? VALUE_BYTES_MAX : length;
    logs_length_max = log_length > VALUE_BYTES_MAX ? VALUE_BYTES_MAX : log_length;
    value_length_sure = value_length_max < logs_length_max ? value_length_max : logs_length_max;
    if (value_length_sure > VALUE_LENGTH_DEFAULT)
        value_length_sure = VALUE_LENGTH_DEFAULT;
    Py_RETURN_NONE;
}

static PyObject *set_propagation(PyObject *module, PyObject *number) {
    unsigned long formats = PyLong_Check(number) ? PyLong_AsUnsignedLong(number) : 0;

    PyErr_Clear();
    propagation_formats = (unsigned) formats;
    Py_RETURN_NONE;
}

static PyObject *set_sampler(PyObject *module, PyObject *args) {
    int parent_based;
    double ratio;

    if (!PyArg_ParseTuple(args, "pd", &parent_based, &ratio))
        return NULL;
    sampler_set(parent_based, ratio);
    Py_RETURN_NONE;
}

/* set_choice(red, keep, share): count before sampling; choose among local traces */
static PyObject *set_choice(PyObject *module, PyObject *args) {
    int red, keep;
    double share;

    if (!PyArg_ParseTuple(args, "ppd", &red, &keep, &share))
        return NULL;
    red_enabled = red;
    keep_set(keep, share);
    Py_RETURN_NONE;
}

static PyObject *set_resource(PyObject *module, PyObject *attributes) {
    char storage[2048];
    PyObject *key, *value, *copy;
    Py_ssize_t at = 0;
    struct buf b;
    int r;

    if (!PyDict_Check(attributes)) {
        PyErr_SetString(PyExc_TypeError, "a dict, please");
        return NULL;
    }
    copy = PyDict_Copy(attributes);
    buf_init(&b, storage, sizeof(storage), RESOURCE_BYTES_MAX - 256);
    while (copy && PyDict_Next(copy, &at, &key, &value))
        value_put(&b, RESOURCE_ATTRIBUTE, key, value);
    Py_XDECREF(copy);
    r = resource_set(b.data, b.used);
    buf_done(&b);
    if (r < 0)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *set_library_folders(PyObject *module, PyObject *folders) {
    if (caller_set_library_folders(folders) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_exception_locals(PyObject *module, PyObject *on) {
    exception_locals = PyObject_IsTrue(on) == 1;
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyObject *enable(PyObject *module, PyObject *on) {
    span_enabled = PyObject_IsTrue(on) == 1;
    PyErr_Clear();
    Py_RETURN_NONE;
}

/* flush(timeout_ms) → 0, or a negative errno */
static PyObject *flush(PyObject *module, PyObject *args) {
    uint64_t passed_ms;
    unsigned timeout_ms;
    int r;

    if (!PyArg_ParseTuple(args, "I", &timeout_ms))
        return NULL;
    thread_state(); /* in a forked child: forget the parent's records first */
    Py_BEGIN_ALLOW_THREADS passed_ms = clock_monotonic_ns() / 1000000u;
    /* A moment; but on a busy machine its thread waits for a processor. */
    profiler_flush(timeout_ms / 2);
    passed_ms = clock_monotonic_ns() / 1000000u - passed_ms;
    r = exporter_flush(passed_ms < timeout_ms ? timeout_ms - (unsigned) passed_ms : 0);
    Py_END_ALLOW_THREADS return PyLong_FromLong(r);
}

static PyObject *stats(PyObject *module, PyObject *unused) {
    PyObject *dict = PyDict_New();
    char error[160];

    thread_state();
    for (int i = 0; dict && i < COUNTER_N; i++) {
        PyObject *n = PyLong_FromUnsignedLongLong(atomic_load(&counters[i]));
        if (!n || PyDict_SetItemString(dict, counter_names[i], n) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(n);
    }
    if (!dict)
        return NULL;
    outbox_last_error(error, sizeof(error));
    PyObject *rest = Py_BuildValue("{s:n,s:n,s:s,s:s}", "buffered_bytes", (Py_ssize_t) ring_bytes(),
                                   "pending_bytes", (Py_ssize_t) outbox_bytes(), "last_error",
                                   error, "instance_id", resource_instance_id());
    if (!rest || PyDict_Update(dict, rest) < 0)
        Py_CLEAR(dict);
    Py_XDECREF(rest);
    return dict;
}

/* set_profiler(enabled, wall, rate_max, source) */
static PyObject *set_profiler(PyObject *module, PyObject *args) {
    struct profiler_options o;
    int enabled, wall, source;

    if (!PyArg_ParseTuple(args, "ppIp", &enabled, &wall, &o.rate_max, &source))
        return NULL;
    o.enabled = enabled;
    o.wall = wall;
    o.source = source;
    profiler_configure(&o);
    Py_RETURN_NONE;
}

static PyObject *start_profiler_in_child(PyObject *module, PyObject *unused) {
    thread_state();
    profiler_start_child();
    Py_RETURN_NONE;
}

static PyObject *profiler_stats(PyObject *module, PyObject *unused) {
    struct profiler_stats s;

    profiler_read_stats(&s);
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "walks", s.walks, "samples",
                         s.samples, "torn", s.torn, "dropped", s.dropped, "windows", s.windows,
                         "windows_lost", s.windows_lost, "cpu_ns", s.cpu_ns, "running_ns",
                         s.since_ns ? clock_monotonic_ns() - s.since_ns : UINT64_C(0), "period_ns",
                         s.period_ns);
}

PyMethodDef config_functions[] = {
        {"set_profiler", set_profiler, METH_VARARGS,
         "set_profiler(enabled, wall, rate_max, source)"},
        {"start_profiler_in_child", start_profiler_in_child, METH_NOARGS,
         "Starts the profiler's thread after a fork."},
        {"profiler_stats", profiler_stats, METH_NOARGS, "What the profiler has done so far."},
        {"set_target", set_target, METH_VARARGS,
         "set_target(signal, host, port, unix_path, path, headers)"},
        {"set_tls", set_tls, METH_VARARGS, "set_tls(signal, on, authorities, certificate, key)"},
        {"tls_is_available", tls_is_available, METH_NOARGS, "Can https be spoken?"},
        {"set_export", set_export, METH_VARARGS,
         "set_export(interval_ms, timeout_ms, buffer_bytes, gzip)"},
        {"set_limits", set_limits, METH_VARARGS,
         "set_limits(attributes, events, links, event_attributes, link_attributes, log_attributes, "
         "value_length, log_value_length)"},
        {"set_propagation", set_propagation, METH_O, "set_propagation(formats)"},
        {"set_sampler", set_sampler, METH_VARARGS, "set_sampler(parent_based, ratio)"},
        {"set_choice", set_choice, METH_VARARGS, "set_choice(red, keep, share)"},
        {"set_resource", set_resource, METH_O, "set_resource(attributes)"},
        {"set_library_folders", set_library_folders, METH_O, "set_library_folders(folders)"},
        {"set_exception_locals", set_exception_locals, METH_O, "set_exception_locals(on)"},
        {"enable", enable, METH_O, "enable(on)"},
        {"flush", flush, METH_VARARGS, "flush(timeout_ms): 0, or a negative errno"},
        {"stats", stats, METH_NOARGS, "Counters, by what happened to records."},
        {NULL},
};
