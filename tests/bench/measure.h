/* What the benches share: clocks, the time to run for, percentiles, results as JSON lines. */
#ifndef GATEHOUSE_TESTS_MEASURE_H
#define GATEHOUSE_TESTS_MEASURE_H

#include "server/base/bytes.h"

/* BENCH_SECONDS from the environment, else `otherwise`. */
double bench_seconds(double otherwise);
double now_us(void);             /* monotonic */
double cpu_us(void);             /* of this process, all threads */
double process_cpu_us(long pid); /* utime + stime of another, in ticks of 10 ms; -1: gone */
double process_rss_mb(long pid); /* -1: gone */

/* The program's arguments, NAME=VALUE each, without its own name; called once. */
void options_are(char **arguments, int num);
/* Its value, else `otherwise`; without that the program gives up. */
const char *option(const char *name, const char *otherwise);
/* What is in the file that it names, terminated; never freed. */
struct bytes file_option(const char *name);

/* The value below which `share` (0..1) of them lie; sorts the array. */
double percentile(double *values, size_t num, double share);

/* One line {"bench":NAME,"what":...,"value":...,"unit":...,"target":...,"met":...} on standard output.
 * `below`: the target is a ceiling, otherwise a floor. target < 0: none. */
void report(const char *bench, const char *what, double value, const char *unit, double target,
            bool below);

/* Ends the program with a message: a bench that cannot run is no result. */
_Noreturn void give_up(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
