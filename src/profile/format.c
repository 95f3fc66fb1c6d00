/* The table of formats. */
#include "profile/format.h"

const struct format formats[] = {
        {"html", ".html", "interactive flame graph, one file", false, format_html},
        {"speedscope", ".speedscope.json", "for speedscope.app", false, format_speedscope},
        {"chrome", ".trace.json", "trace events, for Perfetto and chrome://tracing", true,
         format_chrome},
        {"pprof", ".pb.gz", "for go tool pprof and what reads its files", false, format_pprof},
        {"svg", ".svg", "flame graph as a picture, with search", false, format_svg},
        {"pstats", ".pstats", "for pstats, snakeviz and what else reads cProfile's files", false,
         format_pstats},
        {"collapsed", ".txt", "one line per stack and its count", false, format_collapsed},
};
const size_t formats_n = sizeof(formats) / sizeof(formats[0]);

/* Other names that people give such files. */
static const struct {
    const char *extension, *name;
} also[] = {
        {".json", "speedscope"},     {".pprof", "pprof"},      {".pb", "pprof"},
        {".collapsed", "collapsed"}, {".folded", "collapsed"}, {".htm", "html"},
        {".prof", "pstats"},
};

const struct format *format_by_name(const char *name) {
    for (size_t i = 0; i < formats_n; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

const struct format *format_by_file(const char *path) {
    for (size_t i = 0; i < formats_n; i++)
        if (slice_ends(slice_from(path), slice_from(formats[i].extension)))
            return &formats[i];
    for (size_t i = 0; i < sizeof(also) / sizeof(also[0]); i++)
        if (slice_ends(slice_from(path), slice_from(also[i].extension)))
            return format_by_name(also[i].name);
    return NULL;
}
