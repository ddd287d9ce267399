/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: what no single key shows: keys that need or exclude each other, and values that follow from others. */
#ifndef EDDY_CONFIG_CHECK_H
#define EDDY_CONFIG_CHECK_H

#include "config/config.h"
#include "config/schema.h"

/* config: as schema_read left it; root: the tree it was read from, for the places in messages. */
void config_complete(struct config *config, const struct yaml_node *root, struct schema_problems *problems);

#endif
