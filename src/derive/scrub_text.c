/*
 * Secrets in running text. `triggers` names the bytes at which a pattern can be recognised; each
 * has a function that looks around the byte and answers which bytes to replace. Any thread; the
 * copy is in the caller's arena, the memo belongs to one thread.
 */
#include "derive/scrub.h"

#include <errno.h>

#define KEY_LOOK_BACK 64  /* bytes of a key before "=" or ":" */
#define AUTHORITY_MAX 512 /* of a URL */
#define TOKEN_BYTES_MIN 8 /* of a bearer or basic credential */
#define CARD_DIGITS_MAX 19

struct scan {
    const struct scrub *scrub;
    struct scrub_memo *memo;
    const uint8_t *begin, *end;
};

/* Bytes to replace; empty: none. */
struct range {
    const uint8_t *from, *to;
};

#define NOTHING ((struct range){NULL, NULL})

enum { NONE, ASSIGN, COLON, DASH, UNDERSCORE, LETTER_A, LETTER_B, LETTER_J, DIGIT };

static const uint8_t triggers[256] = {
        ['='] = ASSIGN,   [':'] = COLON,    ['-'] = DASH,     ['_'] = UNDERSCORE, ['A'] = LETTER_A,
        ['B'] = LETTER_B, ['b'] = LETTER_B, ['J'] = LETTER_J, ['0'] = DIGIT,      ['1'] = DIGIT,
        ['2'] = DIGIT,    ['3'] = DIGIT,    ['4'] = DIGIT,    ['5'] = DIGIT,      ['6'] = DIGIT,
        ['7'] = DIGIT,    ['8'] = DIGIT,    ['9'] = DIGIT,
};

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(uint8_t c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_key(uint8_t c) {
    return is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool is_token(uint8_t c) {
    return is_alnum(c) || memchr("-._~+/=", c, 7);
}

static uint8_t peek(const struct scan *s, const uint8_t *p) {
    return p < s->end ? *p : 0;
}

static uint8_t before(const struct scan *s, const uint8_t *p) {
    return p > s->begin ? p[-1] : 0;
}

/* Whether the text at `p` is `word`; `word` is in lower case when case does not matter. */
static bool here(const struct scan *s, const uint8_t *p, const char *word, bool nocase) {
    size_t n = strlen(word);

    if (p < s->begin || (size_t) (s->end - p) < n)
        return false;
    if (nocase)
        return slice_equal_nocase(slice_new(p, n), slice_new(word, n));
    return memcmp(p, word, n) == 0;
}

static enum scrub_verdict verdict_of(const struct scan *s, struct slice key) {
    uint64_t hash = slice_hash(key) | 1;
    size_t slot = hash >> 8 & (SCRUB_MEMO_SLOTS - 1);

    if (s->memo->hashes[slot] != hash) {
        s->memo->verdicts[slot] = (uint8_t) scrub_key(s->scrub, key);
        s->memo->hashes[slot] = hash;
    }
    return (enum scrub_verdict) s->memo->verdicts[slot];
}

/* The key that ends before `p`: word="…", "word": …, word : …; empty when there is none. */
static struct slice key_before(const struct scan *s, const uint8_t *p) {
    const uint8_t *least = p - s->begin > KEY_LOOK_BACK ? p - KEY_LOOK_BACK : s->begin;

    if (p > least && p[-1] == ' ')
        p--;
    if (p > least && (p[-1] == '"' || p[-1] == '\''))
        p--;
    if (p > least && p[-1] == '\\') /* JSON within a string: \"key\" */
        p--;
    const uint8_t *end = p;
    while (p > least && is_key(p[-1]))
        p--;
    return slice_new(p, (size_t) (end - p));
}

/* What stands for "no secret here". */
static bool is_placeholder(struct slice v) {
    static const char *const words[] = {"null", "none", "true",      "false",
                                        "?",    "%s",   "undefined", "nil"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (slice_equal_nocase(v, slice_from(words[i])))
            return true;
    return v.size == 0 || slice_starts(v, SLICE("[scrubbed")); /* "]" ends a value */
}

static struct range pair(const struct scan *s, const uint8_t *p) {
    struct slice key = key_before(s, p);

    if (key.size < 3)
        return NOTHING;
    enum scrub_verdict verdict = verdict_of(s, key);
    if (verdict == SCRUB_KEEP)
        return NOTHING;
    for (p++; peek(s, p) == ' ' || peek(s, p) == '\t'; p++) {
    }
    bool escaped = peek(s, p) == '\\' && (peek(s, p + 1) == '"' || peek(s, p + 1) == '\'');
    p += escaped;
    uint8_t quote = peek(s, p);
    quote = quote == '"' || quote == '\'' ? quote : 0;
    p += quote != 0;
    const uint8_t *from = p;
    for (; p < s->end; p++) {
        if (quote && *p == quote)
            break;
        if (quote && *p == '\\') {
            if (escaped && peek(s, p + 1) == quote)
                break;
            p += p + 1 < s->end;
        } else if (*p == '\\') { /* within JSON: \" ends what JSON has quoted */
            if (peek(s, p + 1) == '"' || peek(s, p + 1) == '\'')
                break;
            p += p + 1 < s->end && p[1] == '\\';
        } else if (!quote && verdict == SCRUB_LINE && memchr("\r\n\"'", *p, 4)) {
            break;
        } else if (!quote && verdict != SCRUB_LINE && memchr(" \t\r\n,;&)}]<>\"'", *p, 13)) {
            break;
        }
    }
    if (is_placeholder(slice_new(from, (size_t) (p - from))))
        return NOTHING;
    return (struct range){from, p};
}

/* scheme://user:password@host */
static struct range url_password(const struct scan *s, const uint8_t *p) {
    const uint8_t *colon = NULL, *at = NULL,
                  *most = p + AUTHORITY_MAX < s->end ? p + AUTHORITY_MAX : s->end;

    for (; p < most && !memchr("/?# \t\r\n\"'<>", *p, 11); p++) {
        if (*p == ':' && !colon)
            colon = p;
        else if (*p == '@')
            at = p;
    }
    if (!colon || !at || at <= colon + 1)
        return NOTHING;
    return (struct range){colon + 1, at};
}

static struct range at_colon(const struct scan *s, const uint8_t *p) {
    if (peek(s, p + 1) == '/' && peek(s, p + 2) == '/')
        return url_password(s, p + 3);
    if (peek(s, p + 1) == ':' || before(s, p) == ':')
        return NOTHING;
    return pair(s, p);
}

/* Letters, digits, "-" and "_" from `p`. */
static const uint8_t *skip_base64url(const struct scan *s, const uint8_t *p) {
    while (p < s->end && (is_alnum(*p) || *p == '-' || *p == '_'))
        p++;
    return p;
}

static struct range vendor_key(const struct scan *s, const uint8_t *from, const uint8_t *rest,
                               size_t size_min) {
    const uint8_t *end = skip_base64url(s, rest);

    if (from < s->begin || is_alnum(before(s, from)) || (size_t) (end - rest) < size_min)
        return NOTHING;
    return (struct range){from, end};
}

static struct range at_dash(const struct scan *s, const uint8_t *p) {
    if (here(s, p, "-----BEGIN ", false)) {
        const uint8_t *line = memchr(p, '\n', (size_t) (s->end - p));
        struct slice head = slice_new(p, (size_t) ((line ? line : s->end) - p));
        ptrdiff_t title = slice_find(slice_take(head, 80), SLICE("PRIVATE KEY-----"));
        if (title < 0)
            return NOTHING;
        const uint8_t *from = p + title + strlen("PRIVATE KEY-----");
        ptrdiff_t end = slice_find(slice_new(from, (size_t) (s->end - from)), SLICE("-----END "));
        return (struct range){from, end < 0 ? s->end : from + end};
    }
    if (p - s->begin >= 4 && here(s, p - 4, "xox", false)) /* Slack */
        return vendor_key(s, p - 4, p + 1, 10);
    if (p - s->begin >= 5 && here(s, p - 5, "glpat", false)) /* GitLab */
        return vendor_key(s, p - 5, p + 1, 16);
    return NOTHING;
}

static struct range at_underscore(const struct scan *s, const uint8_t *p) {
    if (p - s->begin >= 3 && p[-3] == 'g' && p[-2] == 'h' && memchr("pousr", p[-1], 5)) /* GitHub */
        return vendor_key(s, p - 3, p + 1, 20);
    if (p - s->begin >= 10 && here(s, p - 10, "github_pat_", false))
        return vendor_key(s, p - 10, p + 1, 20);
    if (p - s->begin >= 7 &&
        (here(s, p - 7, "sk_live_", false) || here(s, p - 7, "rk_live_", false)))
        return vendor_key(s, p - 7, p + 1, 10); /* Stripe */
    return NOTHING;
}

static struct range at_letter_a(const struct scan *s, const uint8_t *p) {
    if (here(s, p, "AIza", false)) /* Google */
        return vendor_key(s, p, p + 4, 30);
    if ((!here(s, p, "AKIA", false) && !here(s, p, "ASIA", false)) || is_alnum(before(s, p)))
        return NOTHING;
    const uint8_t *end = p + 4;
    while (end < s->end && (is_digit(*end) || (*end >= 'A' && *end <= 'Z')))
        end++;
    return end - p == 20 && !is_alnum(peek(s, end)) ? (struct range){p, end} : NOTHING;
}

/* "Bearer …" and "Basic …", when what follows looks like a credential rather than a word. */
static struct range at_letter_b(const struct scan *s, const uint8_t *p) {
    size_t size = here(s, p, "bearer ", true) ? 7 : here(s, p, "basic ", true) ? 6 : 0;
    bool telling = false;

    if (size == 0 || is_alnum(before(s, p)))
        return NOTHING;
    const uint8_t *from = p + size, *end = from;
    for (; end < s->end && is_token(*end); end++)
        telling = telling || is_digit(*end) || *end == '=' || *end == '+' ||
                  (*end >= 'A' && *end <= 'Z' && end > from);
    return telling && (size_t) (end - from) >= TOKEN_BYTES_MIN ? (struct range){from, end}
                                                               : NOTHING;
}

/* eyJ….….… ("eyJ" is base64 of {") */
static struct range at_letter_j(const struct scan *s, const uint8_t *p) {
    const uint8_t *from = p - 2;

    if (p - s->begin < 2 || p[-2] != 'e' || p[-1] != 'y' || is_alnum(before(s, from)))
        return NOTHING;
    const uint8_t *end = skip_base64url(s, p);
    if (end - from < 10 || peek(s, end) != '.')
        return NOTHING;
    end = skip_base64url(s, end + 1);
    if (peek(s, end) == '.')
        end = skip_base64url(s, end + 1);
    return end - from >= 20 ? (struct range){from, end} : NOTHING;
}

static bool luhn(const uint8_t *digits, unsigned n) {
    unsigned sum = 0;

    for (unsigned i = 0; i < n; i++) {
        unsigned d = digits[n - 1 - i];
        if (i % 2)
            d = d > 4 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return sum % 10 == 0;
}

static bool is_card(const uint8_t *digits, unsigned n) {
    unsigned two = digits[0] * 10u + digits[1];

    if (n < 13 || n > CARD_DIGITS_MAX)
        return false;
    bool known = two == 34 || two == 37 ? n == 15
                 : digits[0] == 4
                         ? n == 13 || n == 16 || n == 19
                         : n >= 14 && (two == 36 || two == 38 || two == 30 || two == 35 ||
                                       (two >= 50 && two <= 69) || (two >= 22 && two <= 27));
    return known && luhn(digits, n);
}

/* A card number from the digit at `p`; *ret_next is behind the run of digits either way. */
static struct range at_digit(const struct scan *s, const uint8_t *p, const uint8_t **ret_next) {
    uint8_t digits[CARD_DIGITS_MAX + 1];
    const uint8_t *from = p, *end = p;
    uint8_t left = before(s, p);
    bool bounded = !is_alnum(left) && left != '_' && left != '.';
    unsigned n = 0;

    while (p < s->end) {
        if (is_digit(*p)) {
            if (n <= CARD_DIGITS_MAX)
                digits[n++] = (uint8_t) (*p - '0');
            end = ++p;
        } else if ((*p == ' ' || *p == '-') && is_digit(peek(s, p + 1)) && bounded && n % 2 == 0 &&
                   n >= 4 && n <= CARD_DIGITS_MAX) {
            p++;
        } else {
            break;
        }
    }
    *ret_next = end;
    if (!bounded || n < 13 || is_alnum(peek(s, end)) || !is_card(digits, n))
        return NOTHING;
    return (struct range){from, end};
}

static struct range look(const struct scan *s, const uint8_t *p, const uint8_t **ret_next) {
    *ret_next = p + 1;
    switch (triggers[*p]) {
    case ASSIGN: return pair(s, p);
    case COLON: return at_colon(s, p);
    case DASH: return at_dash(s, p);
    case UNDERSCORE: return at_underscore(s, p);
    case LETTER_A: return at_letter_a(s, p);
    case LETTER_B: return at_letter_b(s, p);
    case LETTER_J: return at_letter_j(s, p);
    default: return at_digit(s, p, ret_next);
    }
}

int scrub_text(const struct scrub *scrub, struct scrub_memo *memo, struct slice text,
               struct arena *a, struct slice *ret, uint64_t *count) {
    struct scan s = {scrub, memo, text.data, text.data + text.size};
    const uint8_t *p = s.begin, *next, *kept = s.begin;
    struct buffer out = {.cap = SIZE_MAX};

    for (;;) {
        while (p < s.end && triggers[*p] == NONE)
            p++;
        if (p >= s.end)
            break;
        struct range found = look(&s, p, &next);
        if (!found.from || found.from < kept) {
            p = next;
            continue;
        }
        buffer_append(&out, kept, (size_t) (found.from - kept));
        buffer_append_text(&out, SCRUB_MARK);
        p = kept = found.to;
        ++*count;
    }
    *ret = text;
    if (kept == s.begin && out.size == 0)
        return out.failed;
    buffer_append(&out, kept, (size_t) (s.end - kept));
    int r = out.failed;
    if (r == 0) {
        *ret = arena_dup(a, buffer_slice(&out));
        r = ret->data ? 0 : -ENOMEM;
    }
    buffer_done(&out);
    return r;
}
