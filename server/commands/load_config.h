/* The configuration as serve and check-config read it: with the environment's overrides, and every
 * mistake on standard error. */
#ifndef GATEHOUSE_COMMANDS_LOAD_CONFIG_H
#define GATEHOUSE_COMMANDS_LOAD_CONFIG_H

#include "config/config.h"

/* As config_load. */
MUST_USE enum status commands_load_config(struct config **out, const char *path);

#endif
