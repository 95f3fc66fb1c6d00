/* Instruments and the interning of attribute sets. See metrics.h; GIL held throughout. */
#include "encode.h"
#include "metrics.h"
#include "resource.h"
#include "value.h"

#define NAME_BYTES_MAX 255
#define TEXT_BYTES_MAX 1024
#define CELL_BYTES_MAX (16u << 10)

struct metrics_config metrics_config = {.interval_ms = 15000, .cells_max = CELLS_MAX_DEFAULT};
_Atomic uint32_t metrics_epoch = 1;
struct instrument *_Atomic instruments[INSTRUMENTS_MAX];
_Atomic unsigned instruments_n;

static size_t bytes_used;

static const double default_bounds[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                        500, 750, 1000, 2500, 5000, 7500, 10000};

void *metrics_alloc(size_t n) {
    void *p = bytes_used + n <= METRICS_BYTES_MAX ? calloc(1, n) : NULL;

    if (p)
        bytes_used += n;
    return p;
}

static char *copy_text(const char *text, size_t n) {
    char *p = metrics_alloc(n + 1);

    if (p && n)
        memcpy(p, text, n);
    return p;
}

static bool same(const struct instrument *m, enum instrument_kind kind, uint16_t scope,
                 const char *name, const char *unit) {
    return m->kind == kind && m->scope == scope && strcasecmp(m->name, name) == 0 &&
           strcmp(m->unit, unit) == 0;
}

static int set_head(struct instrument *m, const char *name, const char *unit,
                    const char *description) {
    char storage[2 * TEXT_BYTES_MAX];
    struct buf b;

    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    pb_put_bytes(&b, 0x0a, name, text_cut(name, strlen(name), NAME_BYTES_MAX));
    if (*description)
        pb_put_bytes(&b, 0x12, description,
                     text_cut(description, strlen(description), TEXT_BYTES_MAX));
    if (*unit)
        pb_put_bytes(&b, 0x1a, unit, text_cut(unit, strlen(unit), 63));
    m->head = copy_text(b.data, b.used);
    m->head_n = b.used;
    m->name = copy_text(name, strlen(name));
    m->unit = copy_text(unit, strlen(unit));
    return m->head && m->name && m->unit ? 0 : -ENOMEM;
}

static int set_bounds(struct instrument *m, const double *bounds, unsigned n) {
    if (m->kind != METRIC_HISTOGRAM)
        return 0;
    m->exponential = !bounds && metrics_config.exponential;
    if (m->exponential)
        return 0;
    if (!bounds) {
        bounds = default_bounds;
        n = sizeof(default_bounds) / sizeof(default_bounds[0]);
    }
    m->bounds = metrics_alloc((n + 1) * sizeof(double));
    if (!m->bounds)
        return -ENOMEM;
    memcpy(m->bounds, bounds, n * sizeof(double));
    m->bounds_n = (uint16_t) n;
    return 0;
}

struct instrument *instrument_get(enum instrument_kind kind, uint16_t scope, const char *name,
                                  const char *unit, const char *description, const double *bounds,
                                  unsigned bounds_n) {
    unsigned n = atomic_load_explicit(&instruments_n, memory_order_relaxed);
    struct instrument *m;

    for (unsigned i = 0; i < n; i++) {
        m = atomic_load_explicit(&instruments[i], memory_order_relaxed);
        if (same(m, kind, scope, name, unit))
            return m;
    }
    if (n == INSTRUMENTS_MAX)
        return NULL;
    m = metrics_alloc(sizeof(*m));
    if (!m)
        return NULL;
    m->kind = kind;
    m->scope = scope;
    m->slots = metrics_alloc(CELL_SLOTS_MIN * sizeof(*m->slots));
    m->slots_n = CELL_SLOTS_MIN;
    if (!m->slots || set_head(m, name, unit, description) < 0 ||
        set_bounds(m, bounds, bounds_n) < 0)
        return NULL; /* at the cap of all metrics' memory: what was taken stays taken */
    atomic_store_explicit(&instruments[n], m, memory_order_relaxed);
    atomic_store_explicit(&instruments_n, n + 1, memory_order_release);
    return m;
}

/* ---- Sets of attributes ---- */

struct set {
    PyObject *pairs[2 * METRIC_ATTRIBUTES_MAX];
    unsigned n;
    uint64_t hash;
    PyObject *made[METRIC_ATTRIBUTES_MAX + 1]; /* references of our own */
    unsigned made_n;
};

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t x = (a ^ (b << 32 | b >> 32)) * 0x9e3779b97f4a7c15u;

    x ^= x >> 29;
    return x * 0xbf58476d1ce4e5b9u;
}

/* A value that is not plain is compared by its encoded form. */
static PyObject *encoded(struct set *s, PyObject *value) {
    char storage[512];
    struct buf b;
    PyObject *bytes = NULL;

    buf_init(&b, storage, sizeof(storage), CELL_BYTES_MAX);
    if (value_encode(&b, value, 0) == 0)
        bytes = PyBytes_FromStringAndSize(b.data, b.used);
    buf_done(&b);
    PyErr_Clear();
    if (bytes)
        s->made[s->made_n++] = bytes;
    return bytes;
}

static void set_add(struct set *s, PyObject *key, PyObject *value) {
    uint64_t h, k;

    if (s->n == METRIC_ATTRIBUTES_MAX || !PyUnicode_CheckExact(key) || value == Py_None)
        return;
    if (PyFloat_CheckExact(value)) {
        double d = PyFloat_AS_DOUBLE(value);
        memcpy(&h, &d, 8);
    } else if (PyUnicode_CheckExact(value) || PyLong_CheckExact(value)) {
        h = (uint64_t) PyObject_Hash(value);
    } else if (PyBool_Check(value)) {
        h = value == Py_True ? 0x1234567u : 0x7654321u;
    } else {
        value = encoded(s, value);
        if (!value)
            return;
        h = (uint64_t) PyObject_Hash(value);
    }
    k = (uint64_t) PyObject_Hash(key);
    s->hash += mix(k, h); /* a sum: the order does not matter */
    s->pairs[2 * s->n] = key;
    s->pairs[2 * s->n + 1] = value;
    s->n++;
}

static bool equal_values(PyObject *a, PyObject *b) {
    int r;

    if (a == b)
        return true;
    if (Py_TYPE(a) != Py_TYPE(b) || PyBool_Check(a))
        return false;
    if (PyFloat_CheckExact(a)) {
        double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
        return memcmp(&x, &y, 8) == 0;
    }
    r = PyObject_RichCompareBool(a, b, Py_EQ); /* of str, int, bytes: runs nobody's code */
    if (r < 0)
        PyErr_Clear();
    return r > 0;
}

static bool equal_sets(const struct cell *c, const struct set *s) {
    unsigned i, k;

    if (c->pairs_n != s->n || !c->pairs)
        return false;
    for (i = 0; i < s->n; i++) {
        PyObject *key = s->pairs[2 * i], *value = s->pairs[2 * i + 1];
        if (c->pairs[2 * i] == key && equal_values(c->pairs[2 * i + 1], value))
            continue;
        for (k = 0; k < s->n; k++)
            if (equal_values(c->pairs[2 * k], key))
                break;
        if (k == s->n || !equal_values(c->pairs[2 * k + 1], value))
            return false;
    }
    return true;
}

static unsigned attribute_tag(const struct instrument *m) {
    if (m->kind != METRIC_HISTOGRAM)
        return 0x3a; /* NumberDataPoint.attributes */
    return m->exponential ? 0x0a : 0x4a;
}

static int put_pair(struct buf *b, unsigned tag, PyObject *key, PyObject *value) {
    const char *text;
    size_t n;
    PyObject *hold;
    char *p;

    if (!PyBytes_CheckExact(value))
        return value_put(b, tag, key, value);
    if (text_view(key, &text, &n, &hold) < 0)
        return -EINVAL;
    p = pb_key_value(b, tag, text, n, (size_t) PyBytes_GET_SIZE(value));
    if (p)
        memcpy(p, PyBytes_AS_STRING(value), (size_t) PyBytes_GET_SIZE(value));
    Py_XDECREF(hold);
    return p ? 0 : -ENOSPC;
}

static void publish(struct instrument *m, struct cell *c) {
    c->start_ns = clock_wall_ns();
    atomic_store_explicit(&c->next, atomic_load_explicit(&m->first, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&m->first, c, memory_order_release);
    m->cells_n++;
}

static struct cell *cell_alloc(struct instrument *m) {
    struct cell *c = metrics_alloc(sizeof(*c));

    if (c && m->kind == METRIC_HISTOGRAM) {
        c->distribution = metrics_alloc(distribution_size(m));
        if (!c->distribution)
            return NULL;
        distribution_clear(m, c->distribution);
    }
    return c;
}

static struct cell *cell_new(struct instrument *m, const struct set *s) {
    char storage[2048];
    struct buf b;
    struct cell *c = cell_alloc(m);

    if (!c)
        return NULL;
    buf_init(&b, storage, sizeof(storage), CELL_BYTES_MAX);
    for (unsigned i = 0; i < s->n; i++)
        put_pair(&b, attribute_tag(m), s->pairs[2 * i], s->pairs[2 * i + 1]);
    c->attributes = copy_text(b.data, b.used);
    c->attributes_n = b.used;
    buf_done(&b);
    PyErr_Clear();
    c->pairs = metrics_alloc((2 * s->n + 1) * sizeof(PyObject *));
    if (!c->pairs || !c->attributes)
        return NULL;
    c->pairs_n = s->n;
    c->hash = s->hash;
    for (unsigned i = 0; i < 2 * s->n; i++) {
        Py_INCREF(s->pairs[i]);
        c->pairs[i] = s->pairs[i];
    }
    publish(m, c);
    return c;
}

static struct cell *overflow_cell(struct instrument *m) {
    char storage[64];
    struct buf b;
    struct cell *c;

    if (m->overflow)
        return m->overflow;
    c = cell_alloc(m);
    if (!c)
        return NULL;
    buf_init(&b, storage, sizeof(storage), sizeof(storage));
    pb_put_bool(&b, attribute_tag(m), "otel.metric.overflow", 20, true);
    c->attributes = copy_text(b.data, b.used);
    if (!c->attributes)
        return NULL;
    c->attributes_n = b.used;
    publish(m, c);
    return m->overflow = c;
}

static void grow(struct instrument *m) {
    uint32_t n = m->slots_n * 4;
    struct cell **slots = metrics_alloc(n * sizeof(*slots));

    if (!slots)
        return;
    for (uint32_t i = 0; i < m->slots_n; i++)
        for (struct cell *c = m->slots[i], *next; c; c = next) {
            next = c->chain;
            c->chain = slots[c->hash >> 20 & (n - 1)];
            slots[c->hash >> 20 & (n - 1)] = c;
        }
    bytes_used -= m->slots_n * sizeof(*slots);
    free(m->slots);
    m->slots = slots;
    m->slots_n = n;
}

static struct cell *find_or_add(struct instrument *m, const struct set *s) {
    struct cell *c = m->slots[s->hash >> 20 & (m->slots_n - 1)];

    for (; c; c = c->chain)
        if (c->hash == s->hash && equal_sets(c, s))
            return c;
    if (m->cells_n + 1 >= metrics_config.cells_max)
        return overflow_cell(m);
    c = cell_new(m, s);
    if (!c)
        return overflow_cell(m);
    if (m->cells_n > m->slots_n)
        grow(m);
    c->chain = m->slots[s->hash >> 20 & (m->slots_n - 1)];
    m->slots[s->hash >> 20 & (m->slots_n - 1)] = c;
    return c;
}

static bool is_plain(PyObject *o) {
    return PyUnicode_CheckExact(o) || PyLong_CheckExact(o) || PyFloat_CheckExact(o) ||
           PyBool_Check(o) || o == Py_None;
}

/* The items of a dict. Turning values that are not plain into text may change it: then a copy is
 * read. */
static void set_add_dict(struct set *s, PyObject *dict) {
    PyObject *key, *value;
    Py_ssize_t at = 0;

    while (PyDict_Next(dict, &at, &key, &value))
        if (!is_plain(value)) {
            dict = PyDict_Copy(dict);
            if (!dict)
                return;
            s->made[s->made_n++] = dict;
            break;
        }
    at = 0;
    while (PyDict_Next(dict, &at, &key, &value))
        set_add(s, key, value);
}

static bool has_key(const struct set *s, PyObject *key) {
    for (unsigned i = 0; i < s->n; i++)
        if (equal_values(s->pairs[2 * i], key))
            return true;
    return false;
}

/* *ret_plain: how many pairs went into the cell's as they were given; 0: not all. */
static struct cell *find_by_value(struct instrument *m, PyObject *dict, PyObject *names,
                                  PyObject *const *values, unsigned *ret_plain) {
    unsigned in_dict;
    struct set s;
    struct cell *c;

    s.n = s.made_n = 0;
    s.hash = 0;
    if (dict)
        set_add_dict(&s, dict);
    in_dict = s.n;
    for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); i++)
        if (values[i] && (!in_dict || !has_key(&s, PyTuple_GET_ITEM(names, i))))
            set_add(&s, PyTuple_GET_ITEM(names, i), values[i]);
    c = find_or_add(m, &s);
    if (s.n == 0)
        m->plain = c;
    *ret_plain = s.made_n ? 0 : s.n;
    for (unsigned i = 0; i < s.made_n; i++)
        Py_DECREF(s.made[i]);
    PyErr_Clear();
    return c;
}

/* Most updates come from the same few lines, with the very same objects for keys and values: then
 * neither hashes nor texts need to be looked at. Keys and values, those of a dict or of keywords,
 * but not of both; 0: too many, or none. */
static unsigned view_pairs(PyObject *dict, PyObject *names, PyObject *const *values,
                           PyObject **pairs, uintptr_t *ret_slot) {
    uintptr_t mixed = 0;
    unsigned n = 0;

    if (dict && (names || PyDict_GET_SIZE(dict) > RECENT_PAIRS_MAX))
        return 0;
    if (dict) {
        for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &pairs[2 * n], &pairs[2 * n + 1]); n++)
            mixed += (uintptr_t) pairs[2 * n + 1] >> 5;
    } else {
        if (!names || PyTuple_GET_SIZE(names) > RECENT_PAIRS_MAX)
            return 0;
        for (; n < (unsigned) PyTuple_GET_SIZE(names); n++) {
            pairs[2 * n] = PyTuple_GET_ITEM(names, n);
            pairs[2 * n + 1] = values[n];
            mixed += (uintptr_t) values[n] >> 5;
        }
    }
    *ret_slot = mixed % CELLS_RECENT;
    return n;
}

/* Only plain values are in the cells' pairs as they were given. */
static bool is_recent(const struct cell *c, PyObject *const *pairs, unsigned n) {
    if (!c || c->pairs_n != n)
        return false;
    for (unsigned i = 0; i < 2 * n; i++)
        if (c->pairs[i] != pairs[i])
            return false;
    return true;
}

struct cell *cell_of(struct instrument *m, PyObject *dict, PyObject *names,
                     PyObject *const *values) {
    PyObject *pairs[2 * RECENT_PAIRS_MAX + 2];
    uintptr_t slot = 0;
    unsigned given, plain;
    struct cell *c;

    if (!names && (!dict || PyDict_GET_SIZE(dict) == 0) && m->plain)
        return m->plain;
    given = view_pairs(dict, names, values, pairs, &slot);
    if (given && is_recent(m->recent[slot], pairs, given))
        return m->recent[slot];
    c = find_by_value(m, dict, names, values, &plain);
    if (given && c && plain == given)
        m->recent[slot] = c;
    return c;
}

static uint64_t hash_bytes(const char *p, size_t n) {
    uint64_t h = n + 1, word;

    for (; n >= 8; p += 8, n -= 8) {
        memcpy(&word, p, 8);
        h = mix(h, word);
    }
    word = 0;
    memcpy(&word, p, n);
    return mix(h, word) | 1;
}

struct cell *cell_of_encoded(struct instrument *m, const char *attributes, size_t n) {
    uint64_t hash = hash_bytes(attributes, n);
    struct cell *c = m->slots[hash >> 20 & (m->slots_n - 1)];

    for (; c; c = c->chain)
        if (c->hash == hash && !c->pairs && c->attributes_n == n &&
            memcmp(c->attributes, attributes, n) == 0)
            return c;
    if (m->cells_n + 1 >= metrics_config.cells_max)
        return overflow_cell(m);
    c = cell_alloc(m);
    if (!c || !(c->attributes = copy_text(attributes, n)))
        return overflow_cell(m);
    c->attributes_n = (uint32_t) n;
    c->hash = hash;
    publish(m, c);
    if (m->cells_n > m->slots_n)
        grow(m);
    c->chain = m->slots[hash >> 20 & (m->slots_n - 1)];
    m->slots[hash >> 20 & (m->slots_n - 1)] = c;
    return c;
}

static void reset_cell(const struct instrument *m, struct cell *c, uint64_t now_ns) {
    struct distribution *d = c->distribution;

    c->start_ns = now_ns;
    atomic_store_explicit(&c->sequence, 0, memory_order_relaxed);
    atomic_store_explicit(&c->integer, 0, memory_order_relaxed);
    atomic_store_explicit(&c->real, 0, memory_order_relaxed);
    atomic_store_explicit(&c->is_set, false, memory_order_relaxed);
    c->sent_integer = 0;
    c->sent_real = 0;
    c->sent_ns = 0;
    if (c->exemplars)
        memset(c->exemplars, 0, EXEMPLARS_MAX * sizeof(*c->exemplars));
    if (d)
        distribution_clear(m, d);
    if (c->sent)
        distribution_clear(m, c->sent);
}

void metrics_fork_reset(void) {
    unsigned n = atomic_load_explicit(&instruments_n, memory_order_relaxed);
    uint64_t now_ns = clock_wall_ns();

    for (unsigned i = 0; i < n; i++)
        for (struct cell *c = atomic_load_explicit(&instruments[i]->first, memory_order_relaxed); c;
             c = atomic_load_explicit(&c->next, memory_order_relaxed))
            reset_cell(instruments[i], c, now_ns);
}
