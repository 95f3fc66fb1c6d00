/*
 * Stacks as text, and Pyroscope's two trees over them. A tree's node is: length and bytes of its
 * name, its own value, its number of children, all as varints, and then its children, each with
 * all that is below it. Source: grafana/pyroscope, pkg/og/structs/transporttrie and
 * pkg/og/storage/tree (format only).
 */
#include "receive/profile_sink.h"
#include "wire/protobuf.h"

#define FRAME_TEXT_MAX 4096u
#define TRIE_DEPTH_MAX 20000u /* a piece of text may be one letter */
#define TRIE_KEY_MAX (1u << 20)
#define TRIE_WORK_MAX ((size_t) 256 << 20) /* bytes of all stacks of a tree, written out */

/* ---- Frames ---- */

static bool take_line(struct slice text, uint32_t *ret) {
    uint64_t v;

    if (slice_to_u64(text, &v) < 0 || v > UINT32_MAX)
        return false;
    *ret = (uint32_t) v;
    return true;
}

static ptrdiff_t find_last(struct slice s, uint8_t byte) {
    for (size_t i = s.size; i > 0; i--)
        if (s.data[i - 1] == byte)
            return (ptrdiff_t) i - 1;
    return -1;
}

/* "file:line" */
static bool take_place(struct slice text, struct stack_frame *f) {
    ptrdiff_t colon = find_last(text, ':');

    if (colon <= 0 || !take_line(slice_skip(text, (size_t) colon + 1), &f->line))
        return false;
    f->file = slice_take(text, (size_t) colon);
    return true;
}

struct stack_frame profile_parse_frame(struct slice text) {
    struct stack_frame f = {.function = text};
    ptrdiff_t at;

    if (slice_ends(text, SLICE(")")) && (at = find_last(text, '(')) > 1 &&
        text.data[at - 1] == ' ') {
        struct slice inner =
                slice_take(slice_skip(text, (size_t) at + 1), text.size - (size_t) at - 2);
        if (!take_place(inner, &f) && slice_find(inner, SLICE("/")) < 0 &&
            slice_find(inner, SLICE(".")) < 0)
            return f;
        if (f.file.size == 0)
            f.file = inner;
        f.function = slice_take(text, (size_t) at - 1);
        return f;
    }
    at = slice_find(text, SLICE(" - "));
    if (at > 0) {
        if (!take_place(slice_take(text, (size_t) at), &f))
            f.file = slice_take(text, (size_t) at);
        f.function = slice_skip(text, (size_t) at + 3);
        return f;
    }
    at = slice_find_byte(text, ':'); /* Austin: file:function:line */
    if (at > 0 && slice_find(slice_take(text, (size_t) at), SLICE(".py")) > 0) {
        struct slice rest = slice_skip(text, (size_t) at + 1);
        struct stack_frame place = {0};
        if (take_place(rest, &place) && place.file.size)
            return (struct stack_frame){place.file, slice_take(text, (size_t) at), place.line};
    }
    return f;
}

/* The stack of "outer;…;inner": its innermost frames. */
static size_t split_stack(struct profile_sink *s, struct slice text) {
    size_t n = 0;

    while (text.size && n < PROFILE_STACK_FRAMES_MAX) {
        ptrdiff_t at = find_last(text, ';');
        struct slice frame = slice_skip(text, (size_t) (at + 1));
        if (frame.size)
            s->frames[n++] = profile_parse_frame(slice_take(frame, FRAME_TEXT_MAX));
        text = at < 0 ? SLICE_EMPTY : slice_take(text, (size_t) at);
    }
    return n;
}

static int add(struct profile_sink *s, size_t n, uint64_t count,
               const struct profile_about *about) {
    struct profile_sample sample = {.time_ns = about->time_ns,
                                    .type = about->type,
                                    .unit = about->unit,
                                    .frames = s->frames,
                                    .n_frames = n};

    if (count == 0 || n == 0 || __builtin_mul_overflow(count, about->period, &sample.value))
        return 0;
    return profile_sink_add(s, &sample);
}

/* ---- Text ---- */

static int add_lines(struct profile_sink *s, bool counted, struct slice bytes,
                     const struct profile_about *about, struct error *e) {
    int r = 0;

    for (size_t line = 1; bytes.size && r == 0; line++) {
        struct slice text = slice_trim(slice_cut(&bytes, '\n'));
        uint64_t count = 1;
        if (text.size == 0)
            continue;
        if (counted) {
            ptrdiff_t at = find_last(text, ' ');
            if (at <= 0 || slice_to_u64(slice_skip(text, (size_t) at + 1), &count) < 0)
                return error_set(e, -EBADMSG,
                                 "line %zu of the profile does not end in a number: %.*s", line,
                                 SLICE_ARG(slice_take(text, 100)));
            text = slice_trim(slice_take(text, (size_t) at));
        }
        r = add(s, split_stack(s, text), count, about);
    }
    return r;
}

/* ---- Trees ---- */

struct tree {
    struct pb_reader r;
    struct buffer key; /* names from the root to here */
    size_t *ends;      /* of the key, per level */
    uint64_t *left;    /* children still to come, per level */
    size_t work;       /* bytes of keys that were looked at */
    bool frames;       /* a node's name is a frame, not a piece of text */
};

/* Reads one node, appends its name: 0 or -EBADMSG. */
static int read_node(struct tree *t, uint64_t *ret_value, uint64_t *ret_children) {
    uint64_t n;

    if (pb_varint(&t->r, &n) < 0 || n > (uint64_t) (t->r.end - t->r.at))
        return -EBADMSG;
    struct slice name = slice_new(t->r.at, (size_t) n);
    t->r.at += n;
    if (pb_varint(&t->r, ret_value) < 0 || pb_varint(&t->r, ret_children) < 0)
        return -EBADMSG;
    if (t->frames && t->key.size)
        buffer_append_u8(&t->key, ';');
    buffer_append_slice(&t->key, name);
    return t->key.failed ? -EBADMSG : 0;
}

static int walk_tree(struct profile_sink *s, struct tree *t, const struct profile_about *about) {
    size_t depth = 0;
    int r = 0;

    t->left[0] = 1;
    t->ends[0] = 0;
    for (;;) {
        uint64_t value, children;
        while (t->left[depth] == 0) {
            if (depth == 0)
                return 0;
            depth--;
        }
        t->left[depth]--;
        buffer_truncate(&t->key, t->ends[depth]);
        if (t->r.at == t->r.end)
            return depth == 0 ? 0 : -EBADMSG;
        r = read_node(t, &value, &children);
        if (r == 0 && value && (t->work += t->key.size) > TRIE_WORK_MAX)
            r = -EBADMSG;
        if (r == 0 && value)
            r = add(s, split_stack(s, buffer_slice(&t->key)), value, about);
        if (r < 0 || (children && ++depth == TRIE_DEPTH_MAX))
            return r < 0 ? r : -EBADMSG;
        if (children) {
            t->left[depth] = children;
            t->ends[depth] = t->key.size;
        }
    }
}

static int add_tree(struct profile_sink *s, bool frames, struct slice bytes,
                    const struct profile_about *about, struct error *e) {
    struct tree t = {.r = pb_reader(bytes), .frames = frames};
    int r = -ENOMEM;

    buffer_init(&t.key, TRIE_KEY_MAX);
    t.ends = memory_alloc(TRIE_DEPTH_MAX * sizeof(*t.ends));
    t.left = memory_alloc(TRIE_DEPTH_MAX * sizeof(*t.left));
    if (t.ends && t.left)
        r = walk_tree(s, &t, about);
    free(t.ends);
    free(t.left);
    buffer_done(&t.key);
    return r == -EBADMSG ? error_set(e, r, "malformed tree of stacks") : r;
}

int profile_sink_folded(struct profile_sink *s, enum folded_format format, struct slice bytes,
                        const struct profile_about *about, struct error *e) {
    if (format == FOLDED_TRIE || format == FOLDED_TREE)
        return add_tree(s, format == FOLDED_TREE, bytes, about, e);
    return add_lines(s, format == FOLDED_GROUPS, bytes, about, e);
}
