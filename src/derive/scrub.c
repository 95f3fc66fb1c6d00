/* Which keys hold secrets, and scrubbing of nested values; texts are scrub_text.c's. Read-only: any
 * thread. */
#include "derive/scrub.h"

#include <errno.h>

#define KEY_BYTES_MAX 256
#define DEPTH_MAX 32

struct scrub {
    size_t n;
    struct slice extra[]; /* in words(): "_x_api_key_" */
};

/* A key's words in lower case, "_" before, between and after: "userToken", "user-token" and
 * "USER.TOKEN" are all "_user_token_". Returns the length. */
static size_t words(struct slice key, char *ret) {
    size_t n = 0;
    uint8_t before = 0;

    if (key.size > KEY_BYTES_MAX)
        key = slice_skip(key, key.size - KEY_BYTES_MAX);
    ret[n++] = '_';
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i], next = i + 1 < key.size ? key.data[i + 1] : 0;
        bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z',
             digit = c >= '0' && c <= '9';
        bool lower_before = (before >= 'a' && before <= 'z') || (before >= '0' && before <= '9');
        bool upper_before = before >= 'A' && before <= 'Z';
        bool lower_next = next >= 'a' && next <= 'z';
        if (upper && (lower_before || (upper_before && lower_next)) && ret[n - 1] != '_')
            ret[n++] = '_';
        if (upper || lower || digit || c >= 0x80)
            ret[n++] = (char) (upper ? c + 32 : c);
        else if (ret[n - 1] != '_')
            ret[n++] = '_';
        before = c;
    }
    if (ret[n - 1] != '_')
        ret[n++] = '_';
    return n;
}

int scrub_new(const struct slice *extra, size_t n, struct scrub **ret) {
    char text[KEY_BYTES_MAX * 2 + 2];

    if (n > SCRUB_EXTRA_KEYS_MAX)
        return -E2BIG;
    struct scrub *s = memory_alloc(sizeof(*s) + n * sizeof(*s->extra));
    if (!s)
        return -ENOMEM;
    s->n = 0;
    for (size_t i = 0; i < n; i++) {
        size_t size = words(extra[i], text);
        if (size <= 1)
            continue;
        uint8_t *copy = memory_alloc(size);
        if (!copy) {
            scrub_free(s);
            return -ENOMEM;
        }
        memcpy(copy, text, size);
        s->extra[s->n++] = slice_new(copy, size);
    }
    *ret = s;
    return 0;
}

void scrub_free(struct scrub *s) {
    for (size_t i = 0; s && i < s->n; i++)
        free((void *) s->extra[i].data);
    free(s);
}

static const struct {
    const char *words;
    enum scrub_verdict verdict;
} secrets[] = {
        {"_password_", SCRUB_TEXTS},
        {"_passwd_", SCRUB_TEXTS},
        {"_pwd_", SCRUB_TEXTS},
        {"_passphrase_", SCRUB_TEXTS},
        {"_passcode_", SCRUB_TEXTS},
        {"_secret_", SCRUB_TEXTS},
        {"_secrets_", SCRUB_TEXTS},
        {"_token_", SCRUB_TEXTS},
        {"_apikey_", SCRUB_TEXTS},
        {"_api_key_", SCRUB_TEXTS},
        {"_access_key_", SCRUB_TEXTS},
        {"_accesskey_", SCRUB_TEXTS},
        {"_secretkey_", SCRUB_TEXTS},
        {"_private_key_", SCRUB_TEXTS},
        {"_privatekey_", SCRUB_TEXTS},
        {"_encryption_key_", SCRUB_TEXTS},
        {"_signing_key_", SCRUB_TEXTS},
        {"_credential_", SCRUB_TEXTS},
        {"_credentials_", SCRUB_TEXTS},
        {"_session_", SCRUB_TEXTS},
        {"_sessionid_", SCRUB_TEXTS},
        {"_csrf_", SCRUB_TEXTS},
        {"_csrftoken_", SCRUB_TEXTS},
        {"_xsrf_", SCRUB_TEXTS},
        {"_jwt_", SCRUB_TEXTS},
        {"_accesstoken_", SCRUB_TEXTS},
        {"_authtoken_", SCRUB_TEXTS},
        {"_clientsecret_", SCRUB_TEXTS},
        {"_authorization_", SCRUB_LINE},
        {"_cookie_", SCRUB_LINE},
        {"_cookies_", SCRUB_LINE},
        {"_credit_card_", SCRUB_ALL},
        {"_creditcard_", SCRUB_ALL},
        {"_card_number_", SCRUB_ALL},
        {"_cardnumber_", SCRUB_ALL},
        {"_cvv_", SCRUB_ALL},
        {"_cvc_", SCRUB_ALL},
        {"_ssn_", SCRUB_ALL},
        {"_iban_", SCRUB_ALL},
};

/* Keys that end so speak about a secret without holding it ("token.type", "session_count"). */
static const char *const harmless[] = {
        "_count_",    "_size_",    "_length_", "_limit_",   "_type_",      "_kind_",
        "_expires_",  "_expiry_",  "_ttl_",    "_age_",     "_max_",       "_min_",
        "_duration_", "_enabled_", "_valid_",  "_version_", "_algorithm_", "_required_"};

enum scrub_verdict scrub_key(const struct scrub *s, struct slice key) {
    char text[KEY_BYTES_MAX * 2 + 2];
    struct slice all = slice_new(text, words(key, text));

    for (size_t i = 0; i < s->n; i++)
        if (slice_find(all, s->extra[i]) >= 0)
            return SCRUB_ALL;
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
        if (slice_find(all, slice_from(secrets[i].words)) < 0)
            continue;
        for (size_t k = 0; k < sizeof(harmless) / sizeof(*harmless); k++)
            if (slice_ends(all, slice_from(harmless[k])))
                return SCRUB_KEEP;
        return secrets[i].verdict;
    }
    return SCRUB_KEEP;
}

struct walk {
    const struct scrub *scrub;
    struct scrub_memo *memo;
    struct arena *arena;
    uint64_t *count;
};

static int walk_value(const struct walk *w, enum scrub_verdict verdict, const struct value *v,
                      unsigned depth, struct value *ret);

/* "--password", "hunter2": an option and its value as two items of a command line. */
static bool secret_option(const struct walk *w, const struct value *v) {
    return v->type == VALUE_STRING && v->text.size > 2 && v->text.data[0] == '-' &&
           slice_find_byte(v->text, '=') < 0 && scrub_key(w->scrub, v->text) != SCRUB_KEEP;
}

static int walk_array(const struct walk *w, const struct value *v, unsigned depth,
                      struct value *ret) {
    struct value *copy = arena_alloc(w->arena, v->array.n * sizeof(*copy));
    bool option = false;

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < v->array.n; i++) {
        int r = walk_value(w, option ? SCRUB_TEXTS : SCRUB_KEEP, &v->array.items[i], depth,
                           &copy[i]);
        if (r < 0)
            return r;
        option = secret_option(w, &v->array.items[i]);
    }
    *ret = *v;
    ret->array.items = copy;
    return 0;
}

static int walk_map(const struct walk *w, const struct value *v, unsigned depth,
                    struct value *ret) {
    struct attribute *copy = arena_alloc(w->arena, v->map.n * sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < v->map.n; i++) {
        copy[i].key = v->map.items[i].key;
        int r = walk_value(w, scrub_key(w->scrub, copy[i].key), &v->map.items[i].value, depth,
                           &copy[i].value);
        if (r < 0)
            return r;
    }
    *ret = *v;
    ret->map.items = copy;
    return 0;
}

static int walk_value(const struct walk *w, enum scrub_verdict verdict, const struct value *v,
                      unsigned depth, struct value *ret) {
    bool text = v->type == VALUE_STRING || v->type == VALUE_BYTES || v->type == VALUE_ARRAY ||
                v->type == VALUE_MAP;

    if (verdict == SCRUB_ALL ? v->type != VALUE_EMPTY : verdict != SCRUB_KEEP && text) {
        *ret = (struct value){.type = VALUE_STRING, .text = SLICE(SCRUB_MARK)};
        ++*w->count;
        return 0;
    }
    *ret = *v;
    if (v->type == VALUE_STRING)
        return scrub_text(w->scrub, w->memo, v->text, w->arena, &ret->text, w->count);
    if (depth >= DEPTH_MAX)
        return 0; /* refused where it is turned into text */
    if (v->type == VALUE_ARRAY && v->array.n)
        return walk_array(w, v, depth + 1, ret);
    if (v->type == VALUE_MAP && v->map.n)
        return walk_map(w, v, depth + 1, ret);
    return 0;
}

int scrub_value(const struct scrub *s, struct scrub_memo *memo, enum scrub_verdict verdict,
                const struct value *v, struct arena *a, struct value *ret, uint64_t *count) {
    struct walk w = {s, memo, a, count};

    return walk_value(&w, verdict, v, 0, ret);
}
