/* The mistakes of a configuration, each with the place where it was made. */
#ifndef GATEHOUSE_CONFIG_REPORT_H
#define GATEHOUSE_CONFIG_REPORT_H

#include "config/settings.h"

struct place { /* all zero: the setting was not made */
    unsigned line;
    const char *variable; /* of the environment; else it is the file's line */
    bool wrong;           /* its value was a mistake, and reported */
};

struct report {
    const char *file;
    struct place place[NUM_SECTIONS][MAX_SETTINGS];
    size_t num; /* mistakes */
    bool no_memory;
    struct writer *all;   /* may be NULL */
    struct detail *first; /* may be NULL */
};

/* Where this setting was made. */
struct place *report_place(struct report *report, const struct section *section,
                           const struct setting *setting);
void report_mistake(struct report *report, struct place place, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Looks for what is missing, and for settings that contradict each other. */
void config_check(const struct config *config, struct report *report);

#endif
