/* What the process uses, by OpenTelemetry's names: processor, memory, threads, descriptors, …, read
 * from the kernel by the export thread, which alone writes these cells once they are made. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "metrics.h"

#define FIRST_AFTER_NS (5 * 1000000000ull) /* short processes have nothing to tell */
#define DESCRIPTORS_MAX 100000

enum gauge {
    CPU_USER,
    CPU_SYSTEM,
    MEMORY,
    MEMORY_VIRTUAL,
    THREADS,
    DESCRIPTORS,
    SWITCHES_VOLUNTARY,
    SWITCHES_INVOLUNTARY,
    FAULTS_MINOR,
    FAULTS_MAJOR,
    DISK_READ,
    DISK_WRITTEN,
    UPTIME,
    GAUGE_N
};

static const struct {
    const char *name, *unit, *description, *key, *value;
    enum instrument_kind kind;
} table[GAUGE_N] = {
        [CPU_USER] = {"process.cpu.time", "s", "Processor time.", "cpu.mode", "user",
                      METRIC_OBSERVED_COUNTER},
        [CPU_SYSTEM] = {"process.cpu.time", "s", "Processor time.", "cpu.mode", "system",
                        METRIC_OBSERVED_COUNTER},
        [MEMORY] = {"process.memory.usage", "By", "Physical memory in use.", NULL, NULL,
                    METRIC_OBSERVED_UP_DOWN},
        [MEMORY_VIRTUAL] = {"process.memory.virtual", "By", "Virtual memory.", NULL, NULL,
                            METRIC_OBSERVED_UP_DOWN},
        [THREADS] = {"process.thread.count", "{thread}", "Threads.", NULL, NULL,
                     METRIC_OBSERVED_UP_DOWN},
        [DESCRIPTORS] = {"process.open_file_descriptor.count", "{file_descriptor}",
                         "Open file descriptors.", NULL, NULL, METRIC_OBSERVED_UP_DOWN},
        [SWITCHES_VOLUNTARY] = {"process.context_switches", "{context_switch}", "Context switches.",
                                "process.context_switch.type", "voluntary",
                                METRIC_OBSERVED_COUNTER},
        [SWITCHES_INVOLUNTARY] = {"process.context_switches", "{context_switch}",
                                  "Context switches.", "process.context_switch.type", "involuntary",
                                  METRIC_OBSERVED_COUNTER},
        [FAULTS_MINOR] = {"process.paging.faults", "{fault}", "Page faults.",
                          "system.paging.fault.type", "minor", METRIC_OBSERVED_COUNTER},
        [FAULTS_MAJOR] = {"process.paging.faults", "{fault}", "Page faults.",
                          "system.paging.fault.type", "major", METRIC_OBSERVED_COUNTER},
        [DISK_READ] = {"process.disk.io", "By", "Bytes read from and written to storage.",
                       "disk.io.direction", "read", METRIC_OBSERVED_COUNTER},
        [DISK_WRITTEN] = {"process.disk.io", "By", "Bytes read from and written to storage.",
                          "disk.io.direction", "write", METRIC_OBSERVED_COUNTER},
        [UPTIME] = {"process.uptime", "s", "Time since the process began.", NULL, NULL,
                    METRIC_OBSERVED_GAUGE},
};

static struct instrument *of[GAUGE_N];
static struct cell *cells[GAUGE_N];
static uint64_t installed_ns;

void process_metrics_install(uint16_t scope) {
    for (int i = 0; i < GAUGE_N; i++) {
        PyObject *dict = NULL;

        of[i] = instrument_get(table[i].kind, scope, table[i].name, table[i].unit,
                               table[i].description, NULL, 0);
        if (table[i].key)
            dict = Py_BuildValue("{s:s}", table[i].key, table[i].value);
        if (of[i] && (dict || !table[i].key))
            cells[i] = cell_of(of[i], dict, NULL, NULL);
        Py_XDECREF(dict);
        PyErr_Clear();
    }
    installed_ns = clock_monotonic_ns();
}

static size_t read_file(const char *path, char *ret, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

    if (fd >= 0)
        close(fd);
    ret[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t) n : 0;
}

static void put(enum gauge g, int64_t v) {
    if (cells[g])
        cell_set(of[g], cells[g], false, v, 0);
}

static void put_real(enum gauge g, double v) {
    if (cells[g])
        cell_set(of[g], cells[g], true, 0, v);
}

static void put_usage(void) {
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) < 0)
        return;
    put_real(CPU_USER, (double) u.ru_utime.tv_sec + (double) u.ru_utime.tv_usec / 1e6);
    put_real(CPU_SYSTEM, (double) u.ru_stime.tv_sec + (double) u.ru_stime.tv_usec / 1e6);
    put(SWITCHES_VOLUNTARY, u.ru_nvcsw);
    put(SWITCHES_INVOLUNTARY, u.ru_nivcsw);
    put(FAULTS_MINOR, u.ru_minflt);
    put(FAULTS_MAJOR, u.ru_majflt);
}

/* /proc/self/stat, proc(5): field 20 is the number of threads, 22 the start in clock ticks since
 * boot, 23 the virtual size in bytes, 24 the resident pages. The name (field 2) may hold anything,
 * also parentheses. */
static void put_stat(void) {
    char text[1024], *p;
    unsigned long long started, size;
    struct timespec boot;
    long threads, resident;

    if (!read_file("/proc/self/stat", text, sizeof(text)) || !(p = strrchr(text, ')')))
        return;
    if (sscanf(p + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu "
               "%llu %ld",
               &threads, &started, &size, &resident) != 4)
        return;
    put(THREADS, threads);
    put(MEMORY, resident * sysconf(_SC_PAGESIZE));
    put(MEMORY_VIRTUAL, (int64_t) size);
    if (clock_gettime(CLOCK_BOOTTIME, &boot) == 0)
        put_real(UPTIME, (double) boot.tv_sec + (double) boot.tv_nsec / 1e9 -
                                 (double) started / (double) sysconf(_SC_CLK_TCK));
}

static void put_descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int64_t n = -3; /* ".", "..", and this one */

    if (!d)
        return;
    while (n < DESCRIPTORS_MAX && readdir(d))
        n++;
    closedir(d);
    put(DESCRIPTORS, n);
}

static void put_io(void) {
    char text[1024];
    const char *p;

    if (!read_file("/proc/self/io", text, sizeof(text)))
        return; /* some containers forbid it */
    if ((p = strstr(text, "\nread_bytes: ")))
        put(DISK_READ, strtoll(p + 13, NULL, 10));
    if ((p = strstr(text, "\nwrite_bytes: ")))
        put(DISK_WRITTEN, strtoll(p + 14, NULL, 10));
}

void process_metrics_update(void) {
    uint64_t wait_ns = metrics_config.interval_ms * 1000000ull;

    wait_ns = wait_ns < FIRST_AFTER_NS ? wait_ns : FIRST_AFTER_NS;
    if (!installed_ns || clock_monotonic_ns() - installed_ns < wait_ns)
        return;
    put_usage();
    put_stat();
    put_descriptors();
    put_io();
}
