/* Relabelling. See relabel.h. */
#include "receive/relabel.h"

#include <openssl/evp.h>

#define TEXT_BYTES_MAX ((size_t) 1 << 20) /* of one label that a rule makes */

static const struct {
    const char *name;
    enum relabel_action action;
} actions[] = {
        {"replace", RELABEL_REPLACE},
        {"keep", RELABEL_KEEP},
        {"drop", RELABEL_DROP},
        {"keepequal", RELABEL_KEEP_EQUAL},
        {"dropequal", RELABEL_DROP_EQUAL},
        {"hashmod", RELABEL_HASHMOD},
        {"labelmap", RELABEL_LABELMAP},
        {"labeldrop", RELABEL_LABELDROP},
        {"labelkeep", RELABEL_LABELKEEP},
        {"lowercase", RELABEL_LOWERCASE},
        {"uppercase", RELABEL_UPPERCASE},
};

int relabel_action_parse(struct slice name, enum relabel_action *ret) {
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (slice_equal_nocase(name, slice_from(actions[i].name))) {
            *ret = actions[i].action;
            return 0;
        }
    return -EINVAL;
}

static const char *action_name(enum relabel_action a) {
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (actions[i].action == a)
            return actions[i].name;
    return "?";
}

/* ---- Checking ---- */

static bool is_label_name(struct slice name, bool utf8) {
    return utf8 ? name.size && slice_is_utf8(name) : label_name_is_legacy(name);
}

static bool is_word_byte(uint8_t c) {
    return ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* A label's name in which $1 or ${name} may stand. */
static bool is_name_template(struct slice text, bool utf8) {
    if (!text.size || utf8)
        return text.size && slice_is_utf8(text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c != '$') {
            if (!is_word_byte(c) || (i == 0 && c >= '0' && c <= '9'))
                return false;
            continue;
        }
        bool brace = i + 1 < text.size && text.data[i + 1] == '{';
        size_t from = i + 1 + brace, to = from;
        while (to < text.size && is_word_byte(text.data[to]))
            to++;
        if (to == from || (brace && (to == text.size || text.data[to] != '}')))
            return false;
        i = to - 1 + brace;
    }
    return true;
}

static bool has_reference(struct slice text) {
    return slice_find_byte(text, '$') >= 0;
}

static int check_target(const struct relabel_rule *r, bool utf8, struct error *e) {
    const char *name = action_name(r->action);

    if (!r->target_label.size)
        return error_set(e, -EINVAL, "the relabel action %s needs a target_label", name);
    bool template = r->action == RELABEL_REPLACE && has_reference(r->target_label);
    if (template ? !is_name_template(r->target_label, utf8) : !is_label_name(r->target_label, utf8))
        return error_set(e, -EINVAL, "\"%.*s\" is no target_label for the relabel action %s",
                         SLICE_ARG(slice_take(r->target_label, 200)), name);
    return 0;
}

static int check(const struct relabel_rule *r, bool utf8, struct error *e) {
    const char *name = action_name(r->action);

    switch (r->action) {
    case RELABEL_KEEP:
    case RELABEL_DROP: return 0;
    case RELABEL_LABELMAP:
        if (!is_name_template(r->replacement, utf8))
            return error_set(e, -EINVAL,
                             "\"%.*s\" is no replacement for the relabel action labelmap",
                             SLICE_ARG(slice_take(r->replacement, 200)));
        return 0;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        if (r->n_source_labels || r->target_label.size || r->modulus || r->has_separator ||
            r->has_replacement)
            return error_set(e, -EINVAL, "the relabel action %s takes regex and nothing else",
                             name);
        return 0;
    case RELABEL_KEEP_EQUAL:
    case RELABEL_DROP_EQUAL:
        if (r->has_regex || r->modulus || r->has_separator || r->has_replacement)
            return error_set(e, -EINVAL,
                             "the relabel action %s takes source_labels and target_label and "
                             "nothing else",
                             name);
        break;
    case RELABEL_HASHMOD:
        if (!r->modulus)
            return error_set(e, -EINVAL, "the relabel action hashmod needs a modulus above 0");
        break;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        if (r->has_replacement)
            return error_set(e, -EINVAL, "the relabel action %s takes no replacement", name);
        break;
    case RELABEL_REPLACE: break;
    }
    return check_target(r, utf8, e);
}

int relabel_compile(struct relabel_rule *r, bool utf8, struct error *e) {
    /* A default that is written out is the default. */
    r->has_separator = r->has_separator && !slice_is(r->separator, ";");
    r->has_replacement = r->has_replacement && !slice_is(r->replacement, "$1");
    r->has_regex = r->has_regex && !slice_is(r->regex_text, "(.*)");
    if (!r->has_separator)
        r->separator = SLICE(";");
    if (!r->has_replacement)
        r->replacement = SLICE("$1");
    if (!r->has_regex)
        r->regex_text = SLICE("(.*)");
    int result = check(r, utf8, e);
    return result < 0 ? result : regex_compile(r->regex_text, &r->regex, e);
}

void relabel_rules_done(struct relabel_rules *rules) {
    for (size_t i = 0; i < rules->n; i++)
        regex_unref(rules->items[i].regex);
    *rules = (struct relabel_rules){0};
}

/* ---- Applying ---- */

static struct slice join_sources(const struct relabel_rule *r, struct label_set *s) {
    struct slice values[16];
    size_t size = 0, at = 0;

    if (r->n_source_labels == 0)
        return SLICE("");
    if (r->n_source_labels == 1)
        return label_set_get(s, r->source_labels[0]);
    for (size_t i = 0; i < r->n_source_labels; i++) {
        struct slice v = label_set_get(s, r->source_labels[i]);
        if (i < 16)
            values[i] = v;
        size += v.size + r->separator.size;
    }
    uint8_t *to = arena_alloc(s->arena, size);
    if (!to) {
        s->failed = -ENOMEM;
        return SLICE("");
    }
    for (size_t i = 0; i < r->n_source_labels; i++) {
        struct slice v = i < 16 ? values[i] : label_set_get(s, r->source_labels[i]);
        if (i && r->separator.size)
            memcpy(to + at, r->separator.data, r->separator.size);
        at += i ? r->separator.size : 0;
        if (v.size)
            memcpy(to + at, v.data, v.size);
        at += v.size;
    }
    return slice_new(to, at);
}

/* 1 with the template filled in, 0 no match, negative. */
static int expand(const struct relabel_rule *r, struct label_set *s, struct slice text,
                  struct slice template, struct slice *ret) {
    struct buffer out;

    buffer_init(&out, TEXT_BYTES_MAX);
    int result = regex_expand(r->regex, text, template, &out);
    if (result == 1) {
        *ret = arena_dup(s->arena, buffer_slice(&out));
        if (!ret->data)
            result = -ENOMEM;
    }
    buffer_done(&out);
    return result;
}

static int replace(const struct relabel_rule *r, struct label_set *s, struct slice text,
                   bool utf8) {
    struct slice name = r->target_label, value = r->replacement;
    int result = regex_match(r->regex, text);

    if (result <= 0)
        return result;
    if (has_reference(name))
        result = expand(r, s, text, name, &name);
    if (result == 1 && !is_label_name(name, utf8))
        return 0;
    if (result == 1 && has_reference(value))
        result = expand(r, s, text, value, &value);
    if (result == 1)
        label_set_put(s, name, value);
    return result;
}

static void hash_modulo(const struct relabel_rule *r, struct label_set *s, struct slice text) {
    uint8_t digest[16];
    unsigned size = sizeof(digest);
    uint64_t v = 0;

    if (!EVP_Digest(text.data ? text.data : (const uint8_t *) "", text.size, digest, &size,
                    EVP_md5(), NULL)) {
        s->failed = -ENOMEM;
        return;
    }
    for (size_t i = 8; i < 16; i++) /* the digest's last eight bytes */
        v = v << 8 | digest[i];
    char *value = arena_printf(s->arena, "%llu", (unsigned long long) (v % r->modulus));
    if (value)
        label_set_put(s, r->target_label, slice_from(value));
    else
        s->failed = -ENOMEM;
}

/* ASCII letters only: what other scripts call upper case is left as it is. */
static void change_case(const struct relabel_rule *r, struct label_set *s, struct slice text) {
    uint8_t from = r->action == RELABEL_LOWERCASE ? 'A' : 'a';
    uint8_t *to = arena_alloc(s->arena, text.size);

    if (!to) {
        s->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        to[i] = c >= from && c < from + 26 ? c ^ 0x20 : c;
    }
    label_set_put(s, r->target_label, slice_new(to, text.size));
}

/* labelmap, labeldrop, labelkeep: of each label as they were before. */
static int by_name(const struct relabel_rule *r, struct label_set *s) {
    size_t n = s->n;
    struct label *before = arena_alloc(s->arena, n * sizeof(*before));

    if (!before)
        return -ENOMEM;
    if (n)
        memcpy(before, s->items, n * sizeof(*before));
    for (size_t i = 0; i < n; i++) {
        struct slice name;
        int m = r->action == RELABEL_LABELMAP ? expand(r, s, before[i].name, r->replacement, &name)
                                              : regex_match(r->regex, before[i].name);
        if (m < 0)
            return m;
        if (r->action == RELABEL_LABELMAP && m && name.size)
            label_set_put(s, name, before[i].value);
        else if (r->action != RELABEL_LABELMAP && m == (r->action == RELABEL_LABELDROP))
            label_set_remove(s, before[i].name);
    }
    return 1;
}

static int apply_one(const struct relabel_rule *r, bool utf8, struct label_set *s) {
    struct slice text = join_sources(r, s);
    int m;

    switch (r->action) {
    case RELABEL_REPLACE: m = replace(r, s, text, utf8); return m < 0 ? m : 1;
    case RELABEL_KEEP: return regex_match(r->regex, text);
    case RELABEL_DROP: m = regex_match(r->regex, text); return m < 0 ? m : !m;
    case RELABEL_KEEP_EQUAL: return slice_equal(label_set_get(s, r->target_label), text);
    case RELABEL_DROP_EQUAL: return !slice_equal(label_set_get(s, r->target_label), text);
    case RELABEL_HASHMOD: hash_modulo(r, s, text); return 1;
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE: change_case(r, s, text); return 1;
    case RELABEL_LABELMAP:
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP: return by_name(r, s);
    }
    return 1;
}

int relabel_apply(const struct relabel_rules *rules, bool utf8, struct label_set *s) {
    for (size_t i = 0; i < rules->n; i++) {
        int r = apply_one(&rules->items[i], utf8, s);
        if (r == 1 && s->failed)
            r = s->failed;
        if (r != 1)
            return r;
    }
    return 1;
}
