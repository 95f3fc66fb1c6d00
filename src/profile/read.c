/* Reading profiles: which format it is, and the line-based one. What is read is untrusted: numbers
 * and depths are bounded by the profile's own limits. */
#include "profile/format.h"

#include "wire/compress.h"
#include "wire/json.h"

#include <jansson.h>

#define PERIOD_UNKNOWN_NS 10000000 /* when a file does not tell: 100 samples a second */
#define JSON_VALUES_MAX 64000000u
#define TEXT_MAX 4096u

static int broken(struct error *e, const char *what) {
    return error_set(e, -EBADMSG, "%s", what);
}

/* ---- Collapsed stacks ---- */

/* "name (file:12)" → its parts; without them the whole text is the name. */
static int64_t frame_of(struct profile *p, struct slice text) {
    char name[TEXT_MAX], file[TEXT_MAX];
    uint64_t line = 0;
    ptrdiff_t open = -1;

    for (size_t i = text.size; i-- > 1;)
        if (text.data[i] == '(' && text.data[i - 1] == ' ') {
            open = (ptrdiff_t) i;
            break;
        }
    struct slice where = SLICE_EMPTY;
    if (open > 1 && text.data[text.size - 1] == ')') {
        where = slice_take(slice_skip(text, (size_t) open + 1), text.size - (size_t) open - 2);
        text = slice_take(text, (size_t) open - 1);
    }
    size_t colon = where.size;
    while (colon > 0 && where.data[colon - 1] != ':')
        colon--;
    if (colon > 0 && slice_to_u64(slice_skip(where, colon), &line) == 0 && line <= INT32_MAX)
        where = slice_take(where, colon - 1);
    else
        line = 0;
    snprintf(name, sizeof(name), "%.*s", SLICE_ARG(text));
    snprintf(file, sizeof(file), "%.*s", SLICE_ARG(where));
    int64_t id = profile_add_function(p, name, file, 0);
    return id < 0 ? id : profile_add_frame(p, (uint32_t) id, (int) line);
}

static int read_line(struct profile *p, struct slice line, uint32_t thread) {
    size_t space = line.size;
    uint64_t samples;
    int64_t node = 0;

    while (space > 0 && line.data[space - 1] != ' ')
        space--;
    if (space == 0 || slice_to_u64(slice_skip(line, space), &samples) < 0 || samples > UINT32_MAX)
        return -EBADMSG;
    struct slice stack = slice_take(line, space - 1);
    for (unsigned depth = 0; node >= 0 && stack.size && depth < 2 * CPYTHON_FRAMES_MAX; depth++) {
        int64_t frame = frame_of(p, slice_cut(&stack, ';'));
        node = frame < 0 ? frame : profile_add_node(p, (uint32_t) node, (uint32_t) frame);
    }
    if (node < 0)
        return (int) node;
    return samples ? profile_add_samples(p, (uint32_t) node, thread, samples) : 0;
}

int read_collapsed(struct slice text, struct profile *p, struct error *e) {
    int64_t thread = profile_name_thread(p, 0, 0, "all");
    unsigned number = 0;

    while (text.size && thread >= 0) {
        struct slice line = slice_trim(slice_cut(&text, '\n'));
        number++;
        if (!line.size || line.data[0] == '#')
            continue;
        int r = read_line(p, line, (uint32_t) thread);
        if (r == -EBADMSG)
            return number == 1
                           ? broken(e, "no profile that can be read (html, speedscope, chrome, "
                                       "pprof, pstats, collapsed); of an SVG keep the profile that "
                                       "it was made of")
                           : error_set(e, r, "line %u is no stack with a count behind it", number);
        if (r < 0)
            return error_set(e, r, "line %u: %s", number, error_name(r));
    }
    return thread < 0 ? error_set(e, (int) thread, "out of memory") : 0;
}

/* ---- Which format ---- */

static int read_json(struct slice text, struct profile *p, struct error *e) {
    const struct json_limits limits = {.bytes_max = PROFILE_FILE_BYTES_MAX,
                                       .values_max = JSON_VALUES_MAX};
    json_t *root;
    int r = json_parse(text, &limits, &root, NULL, e);

    if (r < 0)
        return r;
    if (json_object_get(root, "traceEvents") || json_is_array(root))
        r = read_chrome(root, p, e);
    else if (json_object_get(root, "profiles"))
        r = read_speedscope(root, p, e);
    else if (json_object_get(root, "counts"))
        r = read_html_data(root, p, e);
    else
        r = broken(e, "JSON, but neither of speedscope nor of Chrome trace events");
    json_decref(root);
    return r;
}

/* The data of a page that format_html() wrote. */
static int read_html(struct slice page, struct profile *p, struct error *e) {
    static const char mark[] = "id=\"data\">";
    ptrdiff_t begin = slice_find(page, slice_from(mark));
    struct slice rest = begin < 0 ? SLICE_EMPTY : slice_skip(page, (size_t) begin + strlen(mark));
    ptrdiff_t end = slice_find(rest, slice_from("</script>"));

    if (begin < 0 || end < 0)
        return broken(e, "a page that holds no profile of varan's");
    return read_json(slice_take(rest, (size_t) end), p, e);
}

static int read_plain(struct slice bytes, struct profile *p, struct error *e) {
    struct slice text = slice_trim(bytes);

    if (!text.size)
        return broken(e, "the file is empty");
    if (bytes.size > 1 && (bytes.data[0] & 0x7f) == '{' && (bytes.data[1] & 0x7f) == '(')
        return read_pstats(bytes, p, e);
    if (text.data[0] == '{' || text.data[0] == '[')
        return read_json(text, p, e);
    if (slice_starts(text, SLICE("<!")) || slice_starts(text, SLICE("<html")))
        return read_html(text, p, e);
    if (slice_is_utf8(slice_take(bytes, 4096)) && slice_find_byte(slice_take(bytes, 64), 0) < 0 &&
        bytes.data[0] >= 0x20)
        return read_collapsed(bytes, p, e);
    return read_pprof(bytes, p, e);
}

static int read_gzip(struct slice bytes, struct profile *p, struct error *e) {
    struct buffer plain;

    buffer_init(&plain, PROFILE_FILE_BYTES_MAX);
    int r = decompress(COMPRESSION_GZIP, bytes, &plain);
    if (r < 0)
        error_set(e, r, "%s", r == -ENOBUFS ? "too large when unpacked" : "broken gzip");
    else
        r = read_plain(buffer_slice(&plain), p, e);
    buffer_done(&plain);
    return r;
}

int profile_read(struct slice bytes, const char *name, struct profile *ret, struct error *e) {
    if (profile_init(ret) < 0)
        return error_set(e, -ENOMEM, "out of memory");
    bool gzip = bytes.size > 2 && bytes.data[0] == 0x1f && bytes.data[1] == 0x8b;
    int r = gzip ? read_gzip(bytes, ret, e) : read_plain(bytes, ret, e);
    if (r < 0)
        return error_prefix(e, "%s: ", name);
    if (!ret->period_ns)
        ret->period_ns = PERIOD_UNKNOWN_NS;
    if (!ret->title[0])
        snprintf(ret->title, sizeof(ret->title), "%s", name);
    if (!ret->duration_ns)
        ret->duration_ns = (int64_t) ret->stats.samples * ret->period_ns;
    return 0;
}
