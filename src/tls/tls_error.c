/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_error.h"

#include <openssl/err.h>
#include <string.h>

const char *tls_error_take(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = NULL;

    if (code && ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    else if (code)
        reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return reason ? reason : "no reason is given";
}

void tls_error_drop(void)
{
    ERR_clear_error();
}
