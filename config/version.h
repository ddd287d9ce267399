/* SPDX-License-Identifier: Apache-2.0
 *
 * version.h: which of two versions of a model is the newer one.
 *
 * Runs of digits compare as numbers of any length (1.9 < 1.10), all else byte by byte; a part after "-" comes before the version itself
 * (1.0.0-rc1 < 1.0.0 < 1.0.0.1). */
#ifndef EDDY_CONFIG_VERSION_H
#define EDDY_CONFIG_VERSION_H

int version_compare(const char *left, const char *right); /* < 0, 0, > 0 */

#endif
