/* See server.h. What a request says of itself is untrusted: texts are cut, methods come from a
 * list. */
#include "server.h"

#include <stdio.h>

#include "args.h"
#include "context.h"
#include "measure.h"
#include "module.h"
#include "url.h"

#define TEXT_MAX 2048

static const char *const known_methods[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                            "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"};
static PyObject *method_names[sizeof(known_methods) / sizeof(known_methods[0])];
static PyObject *name_http, *str_error_type, *str_status_code;

enum key {
    REQUEST_METHOD,
    PATH_INFO,
    SCRIPT_NAME,
    QUERY_STRING,
    URL_SCHEME,
    HTTP_HOST,
    SERVER_NAME,
    REMOTE_ADDR,
    HTTP_USER_AGENT,
    HTTP_TRACEPARENT,
    HTTP_TRACESTATE,
    HTTP_BAGGAGE,
    METHOD,
    PATH,
    SCHEME,
    QUERY,
    HEADERS,
    CLIENT,
    SERVER,
    TRACEPARENT,
    TRACESTATE,
    BAGGAGE,
    HTTP_B3,
    HTTP_B3_TRACE,
    HTTP_B3_SPAN,
    HTTP_B3_SAMPLED,
    HTTP_B3_FLAGS,
    HTTP_JAEGER,
    KEY_N
};
static const char *const key_texts[KEY_N] = {"REQUEST_METHOD",   "PATH_INFO",
                                             "SCRIPT_NAME",      "QUERY_STRING",
                                             "wsgi.url_scheme",  "HTTP_HOST",
                                             "SERVER_NAME",      "REMOTE_ADDR",
                                             "HTTP_USER_AGENT",  "HTTP_TRACEPARENT",
                                             "HTTP_TRACESTATE",  "HTTP_BAGGAGE",
                                             "method",           "path",
                                             "scheme",           "query_string",
                                             "headers",          "client",
                                             "server",           "traceparent",
                                             "tracestate",       "baggage",
                                             "HTTP_B3",          "HTTP_X_B3_TRACEID",
                                             "HTTP_X_B3_SPANID", "HTTP_X_B3_SAMPLED",
                                             "HTTP_X_B3_FLAGS",  "HTTP_UBER_TRACE_ID"};
static PyObject *keys[KEY_N];

int server_init(void) {
    for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++)
        if (!(method_names[i] = PyUnicode_InternFromString(known_methods[i])))
            return -ENOMEM;
    for (int i = 0; i < KEY_N; i++)
        if (!(keys[i] = PyUnicode_InternFromString(key_texts[i])))
            return -ENOMEM;
    name_http = PyUnicode_InternFromString("HTTP");
    str_error_type = PyUnicode_InternFromString("error.type");
    str_status_code = PyUnicode_InternFromString("http.response.status_code");
    return name_http && str_error_type && str_status_code ? 0 : -ENOMEM;
}

/* Borrowed; NULL when missing. */
static PyObject *item(PyObject *dict, enum key k) {
    PyObject *o = PyDict_GetItemWithError(dict, keys[k]);
    if (!o)
        PyErr_Clear();
    return o;
}

/* A text that came from the network: UTF-8 if it is that, else with replacement characters. */
static void put(Span *s, const char *key, struct text t) {
    PyObject *fixed;

    if (!t.n || !span_keeps(s))
        return;
    t.n = t.n > TEXT_MAX ? text_cut(t.p, t.n, TEXT_MAX) : t.n;
    for (size_t i = 0; i < t.n; i++)
        if ((unsigned char) t.p[i] >= 0x80) {
            fixed = PyUnicode_DecodeUTF8(t.p, (Py_ssize_t) t.n, "replace");
            if (fixed)
                span_put(s, key, strlen(key), fixed);
            Py_XDECREF(fixed);
            PyErr_Clear();
            return;
        }
    if (pb_put_string(&s->data, SPAN_ATTRIBUTE, key, strlen(key), t.p, t.n) == 0)
        s->attributes_n++;
}

/* The bytes behind a WSGI text (they are latin-1 by the book) or a bytes object. */
static struct text view(PyObject *o) {
    if (o && PyBytes_Check(o))
        return (struct text){PyBytes_AS_STRING(o), (size_t) PyBytes_GET_SIZE(o)};
    if (o && PyUnicode_Check(o) && PyUnicode_READY(o) == 0 &&
        PyUnicode_KIND(o) == PyUnicode_1BYTE_KIND)
        return (struct text){(const char *) PyUnicode_1BYTE_DATA(o),
                             (size_t) PyUnicode_GET_LENGTH(o)};
    return (struct text){"", 0};
}

/* The name of the span until the route is known; "HTTP" for methods that nobody knows. */
static PyObject *method_name(PyObject *method) {
    if (method && PyUnicode_Check(method))
        for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++)
            if (method == method_names[i] || PyUnicode_Compare(method, method_names[i]) == 0)
                return method_names[i];
    return name_http;
}

static void put_method(Span *s, PyObject *name) {
    if (name == name_http) {
        SPAN_PUT_STRING(s, "http.request.method", "_OTHER", 6);
    } else {
        struct text t = view(name);
        SPAN_PUT_STRING(s, "http.request.method", t.p, t.n);
    }
}

/* "host:port", "[v6]:port" */
static void put_host(Span *s, struct text host, long port) {
    const char *colon = NULL;

    if (host.n && host.p[0] == '[') {
        const char *close = memchr(host.p, ']', host.n);
        if (close) {
            colon = close + 1 < host.p + host.n ? close + 1 : NULL;
            put(s, "server.address", (struct text){host.p + 1, (size_t) (close - host.p - 1)});
        }
    } else {
        colon = memchr(host.p, ':', host.n);
        put(s, "server.address", (struct text){host.p, colon ? (size_t) (colon - host.p) : host.n});
    }
    if (colon && *colon == ':') {
        port = 0;
        for (const char *p = colon + 1;
             p < host.p + host.n && *p >= '0' && *p <= '9' && port < 65536; p++)
            port = port * 10 + (*p - '0');
    }
    if (port > 0 && port < 65536 && span_keeps(s))
        SPAN_PUT_INT(s, "server.port", port);
}

/* A query, or a whole address: without the values that sound secret. */
static void put_address(Span *s, const char *key, struct text t, bool whole) {
    char storage[URL_BYTES_MAX];

    t.n = text_cut(t.p, t.n, TEXT_MAX);
    if (t.n && url_redact(t.p, t.n, whole, storage, &t.n))
        t.p = storage;
    put(s, key, t);
}

static Span *start(uint16_t scope, PyObject *method, const struct carried *carried,
                   PyObject *tracestate, PyObject *request) {
    struct trace_context remote;
    PyObject *asked = NULL;
    struct context_parent parent;
    PyObject *name = method_name(method);
    Span *s = span_new(name, scope, KIND_SERVER, 0);

    if (!s) {
        PyErr_Clear();
        return NULL;
    }
    if (carried_parse(carried, &remote) == 0) {
        if (tracestate && (PyUnicode_GET_LENGTH(tracestate) > TRACESTATE_MAX ||
                           PyUnicode_GET_LENGTH(tracestate) == 0))
            tracestate = NULL;
        span_start_below(s, &remote, tracestate, true);
    } else if (http_ask_others(request, &remote, &asked)) {
        span_start_below(s, &remote, PyUnicode_GET_LENGTH(asked) ? asked : NULL, true);
        Py_DECREF(asked);
    } else {
        context_find_parent(NULL, &parent);
        /* A remote one is the process's own starter: requests are not its doing. */
        if (parent.remote)
            parent.found = false;
        span_start_below(s, parent.found ? &parent.context : NULL,
                         parent.found ? parent.trace_state : NULL, false);
        context_parent_done(&parent);
    }
    measure_span(s, MEASURED_HTTP_SERVER);
    if (span_keeps(s))
        put_method(s, name);
    return s;
}

/* Threads serve one request after another in one context: no baggage must clear what the last
 * request left. */
static void keep_baggage(PyObject *text) {
    static bool used;

    if (text && PyUnicode_Check(text) && PyUnicode_GET_LENGTH(text) > 0 &&
        PyUnicode_GET_LENGTH(text) <= BAGGAGE_MAX) {
        used = true;
        context_set_baggage(text);
    } else if (used) {
        context_set_baggage(NULL);
    }
}

static void read_others(PyObject *request, struct carried *ret) {
    ret->b3 = view(item(request, HTTP_B3));
    ret->b3_trace = view(item(request, HTTP_B3_TRACE));
    ret->b3_span = view(item(request, HTTP_B3_SPAN));
    ret->b3_sampled = view(item(request, HTTP_B3_SAMPLED));
    ret->b3_flags = view(item(request, HTTP_B3_FLAGS));
    ret->jaeger = view(item(request, HTTP_JAEGER));
}

Span *server_start_wsgi(uint16_t scope, PyObject *request) {
    struct carried carried = {0};
    PyObject *state = item(request, HTTP_TRACESTATE), *host;
    Span *s;
    struct text prefix, path;
    char joined[TEXT_MAX];

    carried.traceparent = view(item(request, HTTP_TRACEPARENT));
    if (propagation_formats & ~(unsigned) (FORMAT_W3C | FORMAT_BAGGAGE))
        read_others(request, &carried);
    s = start(scope, item(request, REQUEST_METHOD), &carried,
              state && PyUnicode_Check(state) ? state : NULL, request);
    if (!s)
        return NULL;
    keep_baggage(item(request, HTTP_BAGGAGE));
    if (!span_keeps(s))
        return s;
    prefix = view(item(request, SCRIPT_NAME));
    path = view(item(request, PATH_INFO));
    if (prefix.n && prefix.n + path.n <= sizeof(joined)) {
        memcpy(joined, prefix.p, prefix.n);
        memcpy(joined + prefix.n, path.p, path.n);
        path = (struct text){joined, prefix.n + path.n};
    }
    put(s, "url.path", path);
    put_address(s, "url.query", view(item(request, QUERY_STRING)), false);
    put(s, "url.scheme", view(item(request, URL_SCHEME)));
    host = item(request, HTTP_HOST);
    put_host(s, view(host ? host : item(request, SERVER_NAME)), 0);
    put(s, "client.address", view(item(request, REMOTE_ADDR)));
    put(s, "user_agent.original", view(item(request, HTTP_USER_AGENT)));
    measure_active(s);
    return s;
}

struct headers {
    struct text host, user_agent, tracestate, baggage;
    struct carried carried;
};

static bool is(struct text t, const char *name, size_t n) {
    return t.n == n && memcmp(t.p, name, n) == 0;
}

static void keep_b3(struct text name, struct text value, struct carried *ret) {
    if (is(name, "traceid", 7))
        ret->b3_trace = value;
    else if (is(name, "spanid", 6))
        ret->b3_span = value;
    else if (is(name, "sampled", 7))
        ret->b3_sampled = value;
    else if (is(name, "flags", 5))
        ret->b3_flags = value;
}

static void read_headers(PyObject *list, struct headers *ret) {
    PyObject *fast = list && (PyList_Check(list) || PyTuple_Check(list)) ? list : NULL;

    for (Py_ssize_t i = 0; fast && i < PySequence_Fast_GET_SIZE(fast) && i < 512; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(fast, i), *k, *v;
        struct text name, value;

        if (!(PyTuple_Check(pair) || PyList_Check(pair)) || PySequence_Fast_GET_SIZE(pair) != 2)
            continue;
        k = PySequence_Fast_GET_ITEM(pair, 0);
        v = PySequence_Fast_GET_ITEM(pair, 1);
        if (!PyBytes_Check(k) || !PyBytes_Check(v))
            continue;
        name = view(k);
        value = view(v);
        if (is(name, "host", 4))
            ret->host = value;
        else if (is(name, "user-agent", 10))
            ret->user_agent = value;
        else if (is(name, "traceparent", 11))
            ret->carried.traceparent = value;
        else if (is(name, "tracestate", 10))
            ret->tracestate = value;
        else if (is(name, "baggage", 7))
            ret->baggage = value;
        else if (is(name, "b3", 2))
            ret->carried.b3 = value;
        else if (name.n > 5 && memcmp(name.p, "x-b3-", 5) == 0)
            keep_b3((struct text){name.p + 5, name.n - 5}, value, &ret->carried);
        else if (is(name, "uber-trace-id", 13))
            ret->carried.jaeger = value;
    }
}

static PyObject *pair_item(PyObject *pair, Py_ssize_t i) {
    if (!pair || !(PyTuple_Check(pair) || PyList_Check(pair)) || PySequence_Fast_GET_SIZE(pair) < 2)
        return NULL;
    return PySequence_Fast_GET_ITEM(pair, i);
}

static PyObject *to_str(struct text t) {
    PyObject *o = t.n ? PyUnicode_DecodeLatin1(t.p, (Py_ssize_t) t.n, NULL) : NULL;
    PyErr_Clear();
    return o;
}

Span *server_start_asgi(uint16_t scope, PyObject *asgi_scope) {
    struct headers h = {0};
    PyObject *state, *baggage, *path, *port, *method = item(asgi_scope, METHOD);
    Span *s;

    read_headers(item(asgi_scope, HEADERS), &h);
    state = to_str(h.tracestate);
    if (!method)
        method = method_names[0]; /* a WebSocket's handshake is a GET */
    s = start(scope, method, &h.carried, state, asgi_scope);
    Py_XDECREF(state);
    if (!s)
        return NULL;
    baggage = to_str(h.baggage);
    keep_baggage(baggage);
    Py_XDECREF(baggage);
    if (!span_keeps(s))
        return s;
    path = item(asgi_scope, PATH);
    if (path && PyUnicode_Check(path))
        span_put(s, "url.path", 8, path);
    put_address(s, "url.query", view(item(asgi_scope, QUERY)), false);
    put(s, "url.scheme", view(item(asgi_scope, SCHEME)));
    port = pair_item(item(asgi_scope, SERVER), 1);
    put_host(s, h.host.n ? h.host : view(pair_item(item(asgi_scope, SERVER), 0)),
             port && PyLong_Check(port) ? PyLong_AsLong(port) : 0);
    PyErr_Clear();
    put(s, "client.address", view(pair_item(item(asgi_scope, CLIENT), 0)));
    put(s, "user_agent.original", h.user_agent);
    measure_active(s);
    return s;
}

void http_set_status(Span *s, long code) {
    PyObject *number, *text;

    if (code < 100 || code > 999)
        return;
    if (!span_keeps(s)) {
        if (code >= (s->kind == KIND_CLIENT ? 400 : 500))
            span_set_status(s, STATUS_ERROR, NULL);
        return;
    }
    number = PyLong_FromLong(code);
    if (number)
        span_set(s, str_status_code, number);
    Py_XDECREF(number);
    if (code >= (s->kind == KIND_CLIENT ? 400 : 500)) {
        if (s->status != STATUS_ERROR) { /* an exception says more than a number */
            text = PyUnicode_FromFormat("%ld", code);
            if (text)
                span_set(s, str_error_type, text);
            Py_XDECREF(text);
        }
        span_set_status(s, STATUS_ERROR, s->status_message);
    }
    PyErr_Clear();
}

/* scheme://user:password@host:port/path?query#fragment: the URL goes out without what is before the
 * @. */
static void put_url(Span *s, struct text url) {
    char kept[TEXT_MAX];
    const char *end = url.p + url.n, *authority, *path, *at,
               *scheme_end = memmem(url.p, url.n, "://", 3);
    struct text host;
    size_t n;
    bool tls;

    if (!scheme_end) {
        put_address(s, "url.full", url, true);
        return;
    }
    authority = scheme_end + 3;
    for (path = authority; path < end && *path != '/' && *path != '?' && *path != '#'; path++)
        ;
    at = memrchr(authority, '@', (size_t) (path - authority));
    host.p = at ? at + 1 : authority;
    host.n = (size_t) (path - host.p);
    tls = scheme_end - url.p == 5;
    put_host(s, host, tls ? 443 : 80);
    if (at) {
        n = (size_t) snprintf(kept, sizeof(kept), "%.*s%.*s", (int) (authority - url.p), url.p,
                              (int) (end - host.p > 1900 ? 1900 : end - host.p), host.p);
        url = (struct text){kept, n};
    }
    put_address(s, "url.full", url, true);
}

Span *client_start(uint16_t scope, PyObject *method, PyObject *address) {
    struct context_parent parent;
    PyObject *name = method_name(method), *hold;
    struct text url;
    Span *s = NULL;

    if (!span_enabled)
        return NULL;
    context_find_parent(NULL, &parent);
    if (!parent.suppressed)
        s = span_new(name, scope, KIND_CLIENT, SPAN_HTTP_CLIENT);
    if (s)
        span_start_below(s, parent.found ? &parent.context : NULL, parent.trace_state,
                         parent.remote);
    context_parent_done(&parent);
    if (s) {
        measure_span(s, MEASURED_HTTP_CLIENT);
        if (span_keeps(s)) {
            put_method(s, name);
            text_of(address, &url.p, &url.n, &hold);
            put_url(s, url);
            Py_XDECREF(hold);
        }
    }
    PyErr_Clear();
    return s;
}

/* start_client(tracer, method, url) → a started span for an outgoing call, or None. */
static PyObject *start_client(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    Span *s;

    if (!args_count("start_client", n, 3, 3))
        return NULL;
    s = client_start(tracer_scope(args[0]), args[1], args[2]);
    if (!s)
        Py_RETURN_NONE;
    return (PyObject *) s;
}

static PyObject *start_asgi(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    Span *s = NULL;

    if (!args_count("start_asgi", n, 2, 2))
        return NULL;
    if (span_enabled && PyDict_Check(args[1]))
        s = server_start_asgi(tracer_scope(args[0]), args[1]);
    PyErr_Clear();
    if (!s)
        Py_RETURN_NONE;
    return (PyObject *) s;
}

static PyObject *http_status(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("http_status", n, 2, 2))
        return NULL;
    if (span_check(args[0]) && PyLong_Check(args[1]))
        http_set_status((Span *) args[0], PyLong_AsLong(args[1]));
    PyErr_Clear();
    Py_RETURN_NONE;
}

static PyObject *inject(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("inject", n, 2, 2))
        return NULL;
    if (span_check(args[0]))
        http_inject((Span *) args[0], args[1]);
    Py_RETURN_NONE;
}

void server_set_route(Span *s, PyObject *route) {
    PyObject *name;

    if (!PyUnicode_Check(route) || !span_matters(s))
        return;
    for (size_t i = 0; i < sizeof(known_methods) / sizeof(known_methods[0]); i++)
        if (s->name == method_names[i] || s->name == name_http) {
            name = PyUnicode_FromFormat("%U %U", s->name, route);
            if (name)
                Py_SETREF(s->name, name);
            span_tell_operation(s); /* what is in progress is the route's, too */
            span_put(s, "http.route", 10, route);
            break;
        }
    PyErr_Clear();
}

static PyObject *set_route(PyObject *module, PyObject *const *args, Py_ssize_t n) {
    if (!args_count("set_route", n, 2, 2))
        return NULL;
    if (span_check(args[0]))
        server_set_route((Span *) args[0], args[1]);
    Py_RETURN_NONE;
}

#define FAST(f) ((PyCFunction) (void (*)(void))(f)), METH_FASTCALL

PyMethodDef server_functions[] = {
        {"start_client", FAST(start_client),
         "start_client(tracer, method, url): a started span, or None."},
        {"start_asgi", FAST(start_asgi),
         "start_asgi(tracer, scope): a started server span, or None."},
        {"http_status", FAST(http_status), "http_status(span, code)"},
        {"inject", FAST(inject), "inject(span, headers): sets traceparent and its kin."},
        {"set_route", FAST(set_route), "set_route(span, route)"},
        {NULL},
};
