/* The functions of libcurl that are used, from the library that is opened with the first of them:
 * base/late.h. Those with a variable argument take one, as libcurl documents: a long, a pointer or
 * a curl_off_t, which are passed alike. */
#define CURL_DISABLE_TYPECHECK
#include "base/late.h"

#include <curl/curl.h>
#include <stdarg.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
               "one kind of argument stands for all");

static struct late_library curl = {.file = LATE_CURL, .package = "libcurl4"};

LATE(&curl, CURLcode, curl_global_init, (long flags), flags)
LATE(&curl, CURL *, curl_easy_init, (void) )
LATE(&curl, CURLcode, curl_easy_perform, (CURL * handle), handle)
LATE(&curl, void, curl_easy_reset, (CURL * handle), handle)
LATE(&curl, void, curl_easy_cleanup, (CURL * handle), handle)
LATE(&curl, const char *, curl_easy_strerror, (CURLcode code), code)
LATE(&curl, CURLHcode, curl_easy_header,
     (CURL * handle, const char *name, size_t index, unsigned origin, int request,
      struct curl_header **ret),
     handle, name, index, origin, request, ret)
LATE(&curl, void, curl_free, (void *p), p)
LATE(&curl, CURLM *, curl_multi_init, (void) )
LATE(&curl, CURLMcode, curl_multi_cleanup, (CURLM * multi), multi)
LATE(&curl, CURLMcode, curl_multi_add_handle, (CURLM * multi, CURL *handle), multi, handle)
LATE(&curl, CURLMcode, curl_multi_remove_handle, (CURLM * multi, CURL *handle), multi, handle)
LATE(&curl, CURLMcode, curl_multi_perform, (CURLM * multi, int *ret_running), multi, ret_running)
LATE(&curl, CURLMcode, curl_multi_poll,
     (CURLM * multi, struct curl_waitfd fds[], unsigned n, int timeout_ms, int *ret), multi, fds, n,
     timeout_ms, ret)
LATE(&curl, CURLMcode, curl_multi_wakeup, (CURLM * multi), multi)
LATE(&curl, CURLMsg *, curl_multi_info_read, (CURLM * multi, int *ret_left), multi, ret_left)
LATE(&curl, struct curl_slist *, curl_slist_append, (struct curl_slist * list, const char *text),
     list, text)
LATE(&curl, void, curl_slist_free_all, (struct curl_slist * list), list)
LATE(&curl, CURLU *, curl_url, (void) )
LATE(&curl, void, curl_url_cleanup, (CURLU * url), url)
LATE(&curl, CURLUcode, curl_url_get, (CURLU * url, CURLUPart what, char **ret, unsigned flags), url,
     what, ret, flags)
LATE(&curl, CURLUcode, curl_url_set,
     (CURLU * url, CURLUPart what, const char *text, unsigned flags), url, what, text, flags)

/* The one variable argument behind `last`. */
#define VARIABLE(last)                                                                             \
    ({                                                                                             \
        va_list _more;                                                                             \
        va_start(_more, last);                                                                     \
        void *_argument = va_arg(_more, void *);                                                   \
        va_end(_more);                                                                             \
        _argument;                                                                                 \
    })

CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...) {
    return LATE_FUNCTION(&curl, curl_easy_setopt)(handle, option, VARIABLE(option));
}

CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...) {
    return LATE_FUNCTION(&curl, curl_easy_getinfo)(handle, info, VARIABLE(info));
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...) {
    return LATE_FUNCTION(&curl, curl_multi_setopt)(multi, option, VARIABLE(option));
}
