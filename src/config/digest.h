/* SPDX-License-Identifier: Apache-2.0
 *
 * What tells one configuration from another, without showing it: SHA-256 over its
 * files, one after the other, as `cat FILES | sha256sum` has it. Pure but for reading them.
 */
#ifndef CONFIG_DIGEST_H
#define CONFIG_DIGEST_H

#include "config/conf.h"

enum { DIGEST_TEXT = 65 };

/* In hex, terminated; empty: a file cannot be read any more. Blocking. */
void digest_files(const struct conf *conf, char text[DIGEST_TEXT]);

#endif
