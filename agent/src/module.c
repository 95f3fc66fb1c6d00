/* The extension module varan._core. One interpreter per process: all state is static, so
 * sub-interpreters and free-threaded builds use the fallback without an agent. */
#include "module.h"

#include "context.h"
#include "encode.h"
#include "resource.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "encode.h writes fixed64 fields as the host has them"
#endif
#ifdef Py_GIL_DISABLED
#error "free-threaded builds of Python are not supported yet"
#endif

static PyObject *span_context_maker, *decorator;
static PyObject *kinds[6]; /* by number; NULL until bound */

static PyObject *big_endian(const uint8_t *bytes, size_t n) {
    return _PyLong_FromByteArray(bytes, n, 0, 0);
}

PyObject *module_span_context(Span *s) {
    PyObject *trace_id, *span_id, *state = s->trace_state ? s->trace_state : Py_None;

    if (s->context_cache) {
        Py_INCREF(s->context_cache);
        return s->context_cache;
    }
    trace_id = big_endian(s->id.trace_id, 16);
    span_id = big_endian(s->id.span_id, 8);
    if (trace_id && span_id) {
        PyObject *remote = s->flags & SPAN_REMOTE ? Py_True : Py_False;
        if (span_context_maker)
            s->context_cache = PyObject_CallFunction(span_context_maker, "OOOiO", trace_id, span_id,
                                                     remote, (int) s->id.flags, state);
        else
            s->context_cache =
                    Py_BuildValue("(OOOiO)", trace_id, span_id, remote, (int) s->id.flags, state);
    }
    Py_XDECREF(trace_id);
    Py_XDECREF(span_id);
    Py_XINCREF(s->context_cache);
    return s->context_cache;
}

PyObject *module_kind_object(unsigned kind) {
    if (kind < 6 && kinds[kind]) {
        Py_INCREF(kinds[kind]);
        return kinds[kind];
    }
    return PyLong_FromLong((long) kind);
}

unsigned module_kind_number(PyObject *kind) {
    long n;

    for (unsigned i = KIND_INTERNAL; i <= KIND_CONSUMER; i++)
        if (kinds[i] == kind)
            return i;
    n = PyLong_Check(kind) ? PyLong_AsLong(kind) : KIND_INTERNAL;
    PyErr_Clear();
    return n >= KIND_INTERNAL && n <= KIND_CONSUMER ? (unsigned) n : KIND_INTERNAL;
}

PyObject *module_decorate(PyObject *span, PyObject *function) {
    if (!decorator) {
        PyErr_SetString(PyExc_RuntimeError, "import varan first");
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(decorator, span, function, NULL);
}

static PyObject *set_decorator(PyObject *module, PyObject *function) {
    Py_INCREF(function);
    Py_XSETREF(decorator, function);
    Py_RETURN_NONE;
}

/* bind_api(variable, context_type, span_key, span_context_maker, kinds): kinds in the order of
 * OTLP's numbers, from 1 */
static PyObject *bind_api(PyObject *module, PyObject *args) {
    PyObject *variable, *type, *key, *maker, *list;

    if (!PyArg_ParseTuple(args, "OOOOO!", &variable, &type, &key, &maker, &PyTuple_Type, &list))
        return NULL;
    if (PyTuple_GET_SIZE(list) != 5) {
        PyErr_SetString(PyExc_ValueError, "five kinds, please");
        return NULL;
    }
    if (context_bind(variable, type, key) < 0)
        return NULL;
    Py_INCREF(maker);
    Py_XSETREF(span_context_maker, maker);
    for (int i = 0; i < 5; i++) {
        PyObject *kind = PyTuple_GET_ITEM(list, i);
        Py_INCREF(kind);
        Py_XSETREF(kinds[i + 1], kind);
    }
    Py_RETURN_NONE;
}

/* bind_suppression(all, all_plain, http): keys of the API's context */
static PyObject *bind_suppression(PyObject *module, PyObject *args) {
    PyObject *all, *plain, *http;

    if (!PyArg_ParseTuple(args, "OOO", &all, &plain, &http))
        return NULL;
    context_bind_suppression(all, plain, http);
    Py_RETURN_NONE;
}

/* bind_baggage(key, parse, format) */
static PyObject *bind_baggage(PyObject *module, PyObject *args) {
    PyObject *key, *parse, *format;

    if (!PyArg_ParseTuple(args, "OOO", &key, &parse, &format) ||
        context_bind_baggage(key, parse, format) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef module_functions[] = {
        {"bind_suppression", bind_suppression, METH_VARARGS,
         "bind_suppression(all, all_plain, http)"},
        {"bind_baggage", bind_baggage, METH_VARARGS, "bind_baggage(key, parse, format)"},
        {"set_decorator", set_decorator, METH_O, "set_decorator(function)"},
        {"bind_api", bind_api, METH_VARARGS,
         "bind_api(variable, context_type, span_key, span_context_maker, kinds)"},
        {"sanitize_sql", statements_sanitize, METH_VARARGS,
         "sanitize_sql(text, system=''): what would be sent"},
        {NULL},
};

static struct PyModuleDef definition = {
        PyModuleDef_HEAD_INIT,
        .m_name = "varan._core",
        .m_doc = "Varan's tracer.",
        .m_size = -1,
};

static int add_types(PyObject *m) {
    static const struct {
        const char *name;
        PyTypeObject *type;
    } types[] = {{"Span", &Span_Type},
                 {"Tracer", &Tracer_Type},
                 {"Statements", &Statements_Type},
                 {"Response", &Response_Type},
                 {"Body", &Body_Type},
                 {"Steps", &Steps_Type},
                 {"AsgiSend", &AsgiSend_Type},
                 {"Quiet", &Quiet_Type},
                 {"WsgiMethod", &WsgiMethod_Type},
                 {"StatementMethod", &StatementMethod_Type},
                 {"CursorMethod", &CursorMethod_Type},
                 {"ClientMethod", &ClientMethod_Type},
                 {"DatabaseMethod", &DatabaseMethod_Type},
                 {"CommandMethod", &CommandMethod_Type},
                 {"FlaskDispatch", &FlaskDispatch_Type},
                 {"DjangoResolve", &DjangoResolve_Type},
                 {"RouteHandle", &RouteHandle_Type},
                 {"Counter", &Counter_Type},
                 {"UpDownCounter", &UpDownCounter_Type},
                 {"Histogram", &Histogram_Type},
                 {"Gauge", &Gauge_Type},
                 {"Observable", &Observable_Type}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (PyType_Ready(types[i].type) < 0)
            return -1;
        Py_INCREF(types[i].type);
        if (PyModule_AddObject(m, types[i].name, (PyObject *) types[i].type) < 0)
            return -1;
    }
    return 0;
}

PyMODINIT_FUNC PyInit__core(void) {
    PyMethodDef *const functions[] = {
            tracer_functions,     server_functions, wsgi_functions,    logs_functions,
            config_functions,     module_functions, metrics_functions, logs_otel_functions,
            metrics_gc_functions, carry_functions,  headers_functions, inject_functions,
            next_frame_functions, asgi_functions};
    char scope[64];
    struct buf b;
    PyObject *m = PyModule_Create(&definition);

    if (!m)
        return NULL;
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (PyModule_AddFunctions(m, functions[i]) < 0)
            goto fail;
    if (add_types(m) < 0 || span_with_init() < 0 || context_init() < 0 || logs_init() < 0 ||
        server_init() < 0 || wsgi_init() < 0 || statement_method_init() < 0 ||
        cursor_method_init() < 0 || client_method_init() < 0 || route_method_init() < 0 ||
        steps_init() < 0 || asgi_init() < 0 || inject_init() < 0 || database_method_init() < 0 ||
        caller_init() < 0 || fork_handlers_install() < 0)
        goto fail;
    resource_renew();
    buf_init(&b, scope, sizeof(scope), sizeof(scope));
    pb_put_bytes(&b, SCOPE_NAME, "varan", 5);
    pb_put_bytes(&b, SCOPE_VERSION, VARAN_VERSION, strlen(VARAN_VERSION));
    scope_register(b.data, b.used, NULL,
                   0); /* number 0: varan.span(), and whatever finds no room */
    if (PyModule_AddStringConstant(m, "version", VARAN_VERSION) < 0 ||
        PyModule_AddIntConstant(m, "native", 1) < 0)
        goto fail;
    return m;
fail:
    Py_DECREF(m);
    if (!PyErr_Occurred())
        PyErr_NoMemory();
    return NULL;
}
