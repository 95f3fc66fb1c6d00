/* Fingerprints and sanitised statements from the lexer's tokens. Memory is the caller's; any
 * thread. */
#include "derive/sql.h"
#include "derive/sql_lexer.h"

#include <pthread.h>

#define DEPTH_MAX 64 /* of brackets that are told apart; deeper ones are plain */

enum sql_dialect sql_dialect_of(struct slice system) {
    static const struct {
        const char *name;
        enum sql_dialect dialect;
    } systems[] = {
            {"postgresql", SQL_POSTGRES},
            {"postgres", SQL_POSTGRES},
            {"cockroachdb", SQL_POSTGRES},
            {"redshift", SQL_POSTGRES},
            {"aws.redshift", SQL_POSTGRES},
            {"mysql", SQL_MYSQL},
            {"mariadb", SQL_MYSQL},
            {"clickhouse", SQL_MYSQL},
            {"spanner", SQL_MYSQL},
            {"gcp.spanner", SQL_MYSQL},
            {"hive", SQL_MYSQL},
            {"mssql", SQL_MSSQL},
            {"microsoft.sql_server", SQL_MSSQL},
            {"oracle", SQL_STRICT},
            {"oracle.db", SQL_STRICT},
            {"db2", SQL_STRICT},
            {"ibm.db2", SQL_STRICT},
            {"mongodb", SQL_DOCUMENT},
            {"elasticsearch", SQL_DOCUMENT},
            {"opensearch", SQL_DOCUMENT},
            {"couchdb", SQL_DOCUMENT},
            {"cosmosdb", SQL_DOCUMENT},
            {"dynamodb", SQL_DOCUMENT},
            {"aws.dynamodb", SQL_DOCUMENT},
            {"redis", SQL_COMMAND},
            {"memcached", SQL_COMMAND},
            {"valkey", SQL_COMMAND},
    };
    for (size_t i = 0; i < sizeof(systems) / sizeof(*systems); i++)
        if (slice_equal_nocase(system, slice_from(systems[i].name)))
            return systems[i].dialect;
    return SQL_GENERIC;
}

static bool is_keyword(struct slice word, const char *keyword) {
    return slice_equal_nocase(word, slice_from(keyword));
}

/* What a bracket encloses. */
enum bracket { PLAIN, LIST, TUPLE };

struct printer {
    struct buffer *out;
    size_t begin, most; /* where the output begins, and its cap */
    bool space;         /* white space is due */
    bool after_value;   /* the last thing printed is a ? of a list */
    bool comma;         /* a comma of a list is due */
    bool values;        /* within VALUES …, at its level */
    bool tuple_seen;    /* one tuple of this VALUES was printed */
    bool sign;          /* the last thing was a bracket or operator: a sign may follow */
    enum bracket brackets[DEPTH_MAX];
    unsigned depth, skip_depth; /* skip_depth > 0: within a tuple that is not printed */
    struct slice word;          /* the last word, when nothing followed it */
};

static bool full(const struct printer *p) {
    return p->out->size - p->begin >= p->most;
}

static void print(struct printer *p, struct slice text) {
    if (p->skip_depth)
        return;
    if (p->comma) {
        buffer_append_u8(p->out, ',');
        p->comma = false;
        p->space = true;
    }
    if (p->space && p->out->size > p->begin)
        buffer_append_u8(p->out, ' ');
    p->space = false;
    buffer_append_slice(p->out, text);
}

static enum bracket top(const struct printer *p) {
    return p->depth && p->depth <= DEPTH_MAX ? p->brackets[p->depth - 1] : PLAIN;
}

static void value(struct printer *p) {
    p->sign = false;
    if (top(p) != PLAIN && p->after_value) {
        p->comma = false; /* one ? stands for all that follow */
        p->space = false;
        return;
    }
    print(p, SLICE("?"));
    p->after_value = true;
}

static void open_bracket(struct printer *p, struct slice text) {
    enum bracket kind = PLAIN, outer = top(p);

    if (is_keyword(p->word, "in") || is_keyword(p->word, "array") || is_keyword(p->word, "any"))
        kind = LIST;
    else if (p->values && *text.data == '(' && p->word.size == 0)
        kind = TUPLE;
    else if (is_keyword(p->word, "values") || is_keyword(p->word, "value"))
        kind = TUPLE;
    else if (outer == LIST && p->word.size == 0)
        kind = TUPLE;
    if (kind == TUPLE && p->tuple_seen && !p->skip_depth) {
        p->skip_depth = p->depth + 1; /* a further row: like the first */
        p->comma = false;
    }
    print(p, text);
    if (p->depth < DEPTH_MAX)
        p->brackets[p->depth] = kind;
    p->depth++;
    p->after_value = false;
    if (kind == LIST)
        p->tuple_seen = false;
    p->sign = true;
}

static void close_bracket(struct printer *p, struct slice text) {
    enum bracket kind = top(p);

    p->comma = p->comma && p->skip_depth;
    if (p->depth)
        p->depth--;
    if (kind != PLAIN)
        p->space = false;
    print(p, text);
    if (p->skip_depth > p->depth)
        p->skip_depth = 0;
    if (kind == TUPLE) {
        p->tuple_seen = true;
        p->values = top(p) == PLAIN;
    }
    p->after_value = false;
    p->sign = false;
}

static void punctuation(struct printer *p, struct slice text) {
    uint8_t c = *text.data;

    if (c == '(' || c == '[') {
        open_bracket(p, text);
    } else if (c == ')' || c == ']') {
        close_bracket(p, text);
    } else if (c == ',' && (top(p) != PLAIN || p->values)) {
        if (!p->skip_depth)
            p->comma = true;
        p->sign = true;
    } else if ((c == '-' || c == '+') && p->sign) {
        /* the sign of a literal, most likely; of an expression it says little */
    } else {
        p->after_value = false;
        p->sign = true;
        print(p, text);
    }
    p->word = SLICE_EMPTY;
}

static void word(struct printer *p, struct slice text) {
    p->after_value = false;
    p->sign = false;
    if (is_keyword(text, "values")) {
        p->values = true;
        p->tuple_seen = false;
    } else if (!p->skip_depth && top(p) == PLAIN) {
        p->values = false;
    }
    if ((is_keyword(text, "select") || is_keyword(text, "with")) && p->depth &&
        p->depth <= DEPTH_MAX)
        p->brackets[p->depth - 1] = PLAIN; /* IN (SELECT …) is no list */
    print(p, text);
    p->word = text;
}

/* Whether what follows this token is compared with what stands before it. */
static bool compares(const struct sql_token *t) {
    if (t->kind == SQL_PUNCTUATION)
        return memchr("=<>~", *t->text.data, 4) != NULL;
    return t->kind == SQL_WORD && (is_keyword(t->text, "like") || is_keyword(t->text, "ilike") ||
                                   is_keyword(t->text, "glob") || is_keyword(t->text, "between"));
}

static void print_token(struct printer *p, const struct sql_token *t) {
    switch (t->kind) {
    case SQL_SPACE:
    case SQL_COMMENT: p->space = true; return;
    case SQL_LITERAL:
    case SQL_PARAMETER: value(p); break;
    case SQL_PUNCTUATION: punctuation(p, t->text); return;
    case SQL_WORD: word(p, t->text); return;
    default:
        p->after_value = p->sign = false;
        print(p, t->text);
        break;
    }
    p->word = SLICE_EMPTY;
}

static struct slice trim_end(struct slice text) {
    text = slice_trim(text);
    while (text.size && text.data[text.size - 1] == ';')
        text = slice_trim(slice_take(text, text.size - 1));
    return text;
}

static int fingerprint_sql(enum sql_dialect dialect, struct slice text, struct buffer *out) {
    text = trim_end(text);
    struct sql_lexer lexer = {text.data, text.data + text.size, dialect, false};
    struct printer p = {
            .out = out, .begin = out->size, .most = SQL_FINGERPRINT_BYTES_MAX, .sign = true};

    while (!full(&p) && out->failed == 0) {
        struct sql_token t = sql_next(&lexer);
        if (t.kind == SQL_END)
            break;
        print_token(&p, &t);
        if (t.kind != SQL_SPACE && t.kind != SQL_COMMENT)
            lexer.operand = compares(&t) || (top(&p) != PLAIN && p.skip_depth == 0 && p.comma) ||
                            (t.kind == SQL_PUNCTUATION && top(&p) != PLAIN);
    }
    return out->failed;
}

/* What a word means for a "…" that follows; told by length first, because every word comes by here.
 */
static void note_word(struct slice word, bool *list, bool *operand) {
    *operand = false;
    switch (word.size) {
    case 2: *list = is_keyword(word, "in"); return;
    case 4: *operand = is_keyword(word, "like") || is_keyword(word, "glob"); break;
    case 5: *operand = is_keyword(word, "ilike"); break;
    case 6: *list = is_keyword(word, "values"); return;
    case 7: *operand = is_keyword(word, "between"); break;
    }
    *list = false;
}

enum { PLAIN_BYTE, WORD_BYTE, WORD_INNER, SPECIAL_BYTE };

static uint8_t classes[256]; /* bytes that stand for themselves, those of words, those to look at */
static pthread_once_t classes_once = PTHREAD_ONCE_INIT;

static void classes_build(void) {
    for (int c = 1; c < 256; c++)
        classes[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80
                             ? WORD_BYTE
                     : strchr("0123456789$#", c)  ? WORD_INNER
                     : strchr("'\"`[.-/:@%{?", c) ? SPECIAL_BYTE
                                                  : PLAIN_BYTE;
}

static int sanitise_sql(enum sql_dialect dialect, struct slice text, struct buffer *out) {
    struct sql_lexer lexer = {text.data, text.data + text.size, dialect, false};
    const uint8_t *p = text.data, *end = text.data + text.size, *kept = p;
    bool list = false, operand = false;

    pthread_once(&classes_once, classes_build);
    while (p < end) {
        const uint8_t *from = p;
        if (classes[*p] == WORD_BYTE) {
            do
                p++;
            while (p < end && (classes[*p] == WORD_BYTE || classes[*p] == WORD_INNER));
            if (p == end || (*p != '\'' && *p != '&')) {
                note_word(slice_new(from, (size_t) (p - from)), &list, &operand);
                continue;
            }
        } else if (classes[*p] == PLAIN_BYTE) {
            if (*p > ' ')
                operand = list || *p == '=' || *p == '<' || *p == '>' || *p == '~';
            p++;
            continue;
        }
        lexer.at = from;
        lexer.operand = operand;
        struct sql_token t = sql_next(&lexer);
        p = lexer.at;
        if (t.kind == SQL_LITERAL || t.kind == SQL_COMMENT) {
            buffer_append(out, kept, (size_t) (from - kept));
            buffer_append_u8(out, t.kind == SQL_LITERAL ? '?' : ' ');
            kept = p;
        } else if (t.kind == SQL_WORD) {
            note_word(t.text, &list, &operand);
        } else if (t.kind == SQL_PUNCTUATION) {
            operand = list;
        }
    }
    return buffer_append(out, kept, (size_t) (end - kept));
}

/* ---- Documents: JSON or a language's print of it; keys and bare words are kept. ---- */

static const uint8_t *document_string(const uint8_t *p, const uint8_t *end) {
    uint8_t quote = *p++;

    for (; p < end && *p != quote; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static bool is_plain(struct slice key) {
    if (key.size > 128)
        return false;
    for (size_t i = 0; i < key.size; i++) {
        uint8_t c = key.data[i] | 0x20;
        if (!((c >= 'a' && c <= 'z') || memchr("_$.-", key.data[i], 4) ||
              (key.data[i] >= '0' && key.data[i] <= '9')))
            return false;
    }
    return true;
}

static int sanitise_document(struct slice text, size_t most, struct buffer *out) {
    const uint8_t *p = text.data, *end = p + text.size;
    size_t begin = out->size;
    unsigned depth =
            0; /* bare words are names outside of brackets, as in "find {…}", values within */

    while (p < end && out->failed == 0 && out->size - begin < most) {
        const uint8_t *from = p;
        if (*p == '"' || *p == '\'') {
            p = document_string(p, end);
            const uint8_t *q = p;
            while (q < end && *q == ' ')
                q++;
            struct slice key = slice_new(from + 1, p - from >= 2 ? (size_t) (p - from - 2) : 0);
            if (q < end && *q == ':' && is_plain(key))
                buffer_append(out, from, (size_t) (p - from));
            else
                buffer_append_u8(out, '?');
        } else if (*p == '{' || *p == '}' || *p == '[' || *p == ']' || *p == ',' || *p == ':' ||
                   *p == '(' || *p == ')') {
            depth += *p == '{' || *p == '[' || *p == '(';
            buffer_append_u8(out, *p++);
        } else if (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r') {
            buffer_append_u8(out, ' ');
            while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
                p++;
        } else {
            while (p < end && !memchr("{}[],:() \n\t\r\"'", *p, 14))
                p++;
            struct slice bare = slice_new(from, (size_t) (p - from));
            bool letter = (*from | 0x20) >= 'a' && (*from | 0x20) <= 'z';
            if (depth == 0 && letter && is_plain(bare))
                buffer_append_slice(out, bare);
            else
                buffer_append_u8(out, '?');
        }
    }
    return out->failed;
}

/* Redis and memcached: of each line the command's name. */
static int sanitise_command(struct slice text, size_t most, struct buffer *out) {
    size_t begin = out->size;

    while (text.size && out->failed == 0 && out->size - begin < most) {
        struct slice line = slice_trim(slice_cut(&text, '\n'));
        struct slice name = slice_cut(&line, ' ');
        if (name.size == 0)
            continue;
        if (out->size > begin)
            buffer_append_u8(out, '\n');
        bool plain = name.size <= 32;
        for (size_t i = 0; i < name.size; i++)
            plain = plain && (((name.data[i] | 0x20) >= 'a' && (name.data[i] | 0x20) <= 'z') ||
                              name.data[i] == '.' || name.data[i] == '_');
        buffer_append_slice(out, plain ? name : SLICE("?"));
        if (line.size)
            buffer_append(out, " ?", 2);
    }
    return out->failed;
}

/* A document, in place of SQL, for a system that is not known. */
static bool looks_like_document(struct slice text) {
    return text.size >= 2 && (text.data[0] == '{' || (text.data[0] == '[' && text.data[1] == '{'));
}

int sql_fingerprint(enum sql_dialect dialect, struct slice text, struct buffer *out) {
    size_t begin = out->size;
    int r;

    text = slice_trim(text);
    if (dialect == SQL_GENERIC && looks_like_document(text))
        dialect = SQL_DOCUMENT;
    if (dialect == SQL_DOCUMENT)
        r = sanitise_document(text, SQL_FINGERPRINT_BYTES_MAX, out);
    else if (dialect == SQL_COMMAND)
        r = sanitise_command(text, SQL_FINGERPRINT_BYTES_MAX, out);
    else
        r = fingerprint_sql(dialect, text, out);
    if (r < 0)
        return r;
    if (out->size - begin > SQL_FINGERPRINT_BYTES_MAX) {
        size_t size = SQL_FINGERPRINT_BYTES_MAX - 3; /* room for the mark "…" */
        while (size && (out->data[begin + size] & 0xc0) == 0x80)
            size--;
        buffer_truncate(out, begin + size);
        r = buffer_append_text(out, "…");
    }
    return r;
}

int sql_sanitise(enum sql_dialect dialect, struct slice text, struct buffer *out) {
    if (dialect == SQL_GENERIC && looks_like_document(text))
        dialect = SQL_DOCUMENT;
    if (dialect == SQL_DOCUMENT)
        return sanitise_document(text, SIZE_MAX, out);
    if (dialect == SQL_COMMAND)
        return sanitise_command(text, SIZE_MAX, out);
    return sanitise_sql(dialect, text, out);
}
