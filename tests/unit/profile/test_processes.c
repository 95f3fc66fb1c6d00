/* What a process is called, by its command line; and that processes are found by it. */
#include "../unit.h"
#include "profile/continuous.h"

#include <regex.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_name(const char *words, size_t size, const char *folder, const char *want) {
    char name[SERVICE_BYTES_MAX];

    process_guess_service(slice_new(words, size), folder, name);
    assert_string_equal(name, want);
}

#define NAME(words, folder, want) assert_name(words, sizeof(words), folder, want)

static void names_come_from_the_program(void **state) {
    NAME("python\0shop.py", "/srv", "shop");
    NAME("/usr/bin/python3.11\0-u\0-X\0dev\0/srv/shop/worker.py\0--fast", "/", "worker");
    NAME("python\0-m\0shop.worker", "/srv", "shop.worker");
    NAME("python\0/srv/orders/manage.py\0runserver", "/", "orders");
    NAME("python\0main.py", "/srv/orders", "orders");
    NAME("python\0-c\0import x", "/srv/orders", "orders");
    NAME("python", "", "python");
    NAME("", "", "python");
}

static void launchers_name_the_application(void **state) {
    NAME("/v/bin/python\0/v/bin/gunicorn\0-k\0gevent\0-b\0localhost:8000\0shop.wsgi:app", "/srv",
         "shop");
    NAME("python\0-m\0uvicorn\0--host\0::1\0orders.api:app", "/srv", "orders");
    NAME("python\0/v/bin/celery\0-A\0billing.tasks\0worker", "/srv", "billing");
    NAME("python\0/v/bin/gunicorn\0-b\0unix:/run/s.sock\0wsgi:app", "/srv/shop", "shop");
    NAME("gunicorn: worker [shop:app]", "/", "shop");
    NAME("gunicorn: master", "/", "gunicorn");
    NAME("uwsgi\0--http\0:80", "/srv/shop", "shop");
}

static void hostile_words_do_no_harm(void **state) {
    char words[5000];

    memset(words, 'a', sizeof(words));
    process_guess_service(slice_new(words, sizeof(words)), "/", words);
    assert_true(strlen(words) < SERVICE_BYTES_MAX);
    NAME("python\0-W", "/srv/x", "x");
    NAME("python\0-m", "/srv/x", "x");
    NAME("python\0a\x01\x7f.py", "/", "a??");
    NAME("\0\0\0", "/srv/x", "x");
    NAME("gunicorn: [", "/", "gunicorn");
}

static int found(void *ctx, const struct process_info *p) {
    return p->pid == *(pid_t *) ctx;
}

static void processes_are_found_by_their_words(void **state) {
    regex_t regex;
    pid_t pid = fork();

    if (pid == 0) {
        execlp("sleep", "sleep", "600.25", NULL);
        _exit(127);
    }
    assert_int_equal(regcomp(&regex, "^sleep 600\\.25$", REG_EXTENDED | REG_NOSUB), 0);
    int r = 0;
    for (int i = 0; i < 30000 && r == 0; i++) { /* until it has become what it is */
        r = process_each(&regex, found, &pid);
        usleep(2000);
    }
    assert_int_equal(r, 1);
    regfree(&regex);
    assert_int_equal(regcomp(&regex, "^sleep 600\\.26$", REG_EXTENDED | REG_NOSUB), 0);
    assert_int_equal(process_each(&regex, found, &pid), 0);
    regfree(&regex);
    assert_false(process_has_profiler(pid));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_come_from_the_program),
            cmocka_unit_test(launchers_name_the_application),
            cmocka_unit_test(hostile_words_do_no_harm),
            cmocka_unit_test(processes_are_found_by_their_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
