/* Clocks, durations, RFC 3339. Any thread. */
#include "base/clock.h"
#include "base/hot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id) {
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t) t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_now_ns(void) {
    return read_clock(CLOCK_REALTIME);
}

HOT int64_t clock_monotonic_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ns(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static const struct {
    struct slice name;
    int64_t ns;
} units[] = {
        /* longer names first where one begins with another */
        {{(const uint8_t *) "ns", 2}, 1},
        {{(const uint8_t *) "us", 2}, NS_PER_US},
        {{(const uint8_t *) "\xc2\xb5s", 3}, NS_PER_US},
        {{(const uint8_t *) "\xce\xbcs", 3}, NS_PER_US},
        {{(const uint8_t *) "ms", 2}, NS_PER_MS},
        {{(const uint8_t *) "s", 1}, NS_PER_S},
        {{(const uint8_t *) "m", 1}, 60 * NS_PER_S},
        {{(const uint8_t *) "h", 1}, 3600 * NS_PER_S},
        {{(const uint8_t *) "d", 1}, 86400 * NS_PER_S},
        {{(const uint8_t *) "w", 1}, 7 * 86400 * NS_PER_S},
};

static size_t number_length(struct slice s) {
    size_t n = 0;

    while (n < s.size && ((s.data[n] >= '0' && s.data[n] <= '9') || s.data[n] == '.'))
        n++;
    return n;
}

int duration_parse(struct slice text, int64_t *ret_ns) {
    double total = 0;

    text = slice_trim(text);
    if (text.size == 0)
        return -EINVAL;
    while (text.size) {
        double number;
        size_t i, n = number_length(text);
        if (n == 0 || slice_to_double(slice_take(text, n), &number) < 0)
            return -EINVAL;
        text = slice_skip(text, n);
        for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (slice_starts(text, units[i].name))
                break;
        if (i == sizeof(units) / sizeof(units[0]))
            return -EINVAL;
        text = slice_skip(text, units[i].name.size);
        total += number * (double) units[i].ns;
    }
    if (!(total < 9.2e18))
        return -ERANGE;
    *ret_ns = llround(total);
    return 0;
}

void time_format_rfc3339(int64_t ns, char ret[31]) {
    int64_t seconds = ns / NS_PER_S, rest = ns % NS_PER_S;
    struct tm tm;

    if (rest < 0) {
        rest += NS_PER_S;
        seconds--;
    }
    time_t t = (time_t) seconds;
    gmtime_r(&t, &tm);
    char text[80];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", (tm.tm_year + 1900) % 10000,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) rest);
    /* Years have four digits within int64 nanoseconds: always 30 and the NUL. */
    memcpy(ret, text, 31);
}

/* Two (or `n`) digits at `*s`, consumed; -1 when they are not digits. */
static int take_digits(struct slice *s, size_t n) {
    uint64_t value;

    if (s->size < n || slice_to_u64(slice_take(*s, n), &value) < 0)
        return -1;
    *s = slice_skip(*s, n);
    return (int) value;
}

static bool take_byte(struct slice *s, const char *any_of) {
    if (s->size == 0 || !strchr(any_of, s->data[0]) || s->data[0] == 0)
        return false;
    *s = slice_skip(*s, 1);
    return true;
}

static int take_offset(struct slice *s, int *ret_seconds) {
    *ret_seconds = 0;
    if (take_byte(s, "Zz"))
        return 0;
    bool negative = s->size && s->data[0] == '-';
    if (!take_byte(s, "+-"))
        return -EINVAL;
    int hours = take_digits(s, 2);
    if (!take_byte(s, ":"))
        return -EINVAL;
    int minutes = take_digits(s, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return -EINVAL;
    *ret_seconds = (hours * 60 + minutes) * 60 * (negative ? -1 : 1);
    return 0;
}

int time_parse_rfc3339(struct slice s, int64_t *ret_ns) {
    struct tm tm = {0};
    int offset;
    int64_t fraction = 0;

    int year = take_digits(&s, 4);
    bool ok = take_byte(&s, "-");
    int month = take_digits(&s, 2);
    ok = ok && take_byte(&s, "-");
    int day = take_digits(&s, 2);
    ok = ok && take_byte(&s, "Tt ");
    tm.tm_hour = take_digits(&s, 2);
    ok = ok && take_byte(&s, ":");
    tm.tm_min = take_digits(&s, 2);
    ok = ok && take_byte(&s, ":");
    tm.tm_sec = take_digits(&s, 2);
    if (!ok || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31 ||
        tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 ||
        tm.tm_sec > 60)
        return -EINVAL;
    if (take_byte(&s, ".")) {
        size_t n = number_length(s);
        uint64_t digits;
        if (n == 0 || n > 9 || slice_to_u64(slice_take(s, n), &digits) < 0)
            return -EINVAL;
        fraction = (int64_t) digits;
        for (size_t i = n; i < 9; i++)
            fraction *= 10;
        s = slice_skip(s, n);
    }
    if (take_offset(&s, &offset) < 0 || s.size != 0)
        return -EINVAL;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    int64_t seconds = (int64_t) timegm(&tm) - offset;
    *ret_ns = seconds * NS_PER_S + fraction;
    return 0;
}
