/* SPDX-License-Identifier: Apache-2.0
 *
 * TOML (v1.0.0), read by toml++, as JSON. The one place where C++ is spoken: nothing is thrown
 * across it. Any thread.
 */
#ifndef CONTROL_PROVIDER_TOML_H
#define CONTROL_PROVIDER_TOML_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `text` as JSON, terminated; dates, infinity and NaN are strings there. To be freed. NULL: `why`
 * says what is wrong and where, or that there is no memory. */
char *toml_json(const char *text, size_t len, char *why, size_t size);

#ifdef __cplusplus
}
#endif

#endif
