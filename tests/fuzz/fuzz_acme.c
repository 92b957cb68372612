/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as what a CA says, of every kind it says anything in. Nothing may crash,
 * leak or pass what is out of bounds; and what is read may drive an order through its steps.
 */
#include <assert.h>
#include <string.h>

#include "control/acme_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 50 };

static void check_url(struct str url)
{
    assert(!url.p || (url.len <= ACME_URL_MAX && strlen(url.p) == url.len));
}

static void drive(struct acme_order *order, struct arena *arena, struct str text)
{
    static const struct acme_choice choice = {{ACME_HTTP_01, ACME_TLS_ALPN_01}, 2};
    struct acme_json_authorization authorization;

    for (uint32_t i = 0; i < order->count; i++) {
        check_url(order->authorizations[i].url);
        if (!acme_json_read_authorization(arena, text, &authorization) &&
            !acme_order_take_authorization(order, i, &authorization, &choice))
            check_url(order->authorizations[i].challenge_url);
        acme_order_pace(order, i, 0, (int64_t)text.len);
    }
    for (int64_t now = 0; now < STEPS_MAX; now++) {
        struct acme_action action = acme_order_next(order, now * 1000);

        assert(action.index < (order->count ? order->count : 1));
        if (action.step == ACME_STEP_FAIL)
            assert(acme_order_error(order, arena).p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct acme_order order = {.url = STR("https://ca/o")};
    struct acme_json_authorization authorization;
    struct acme_directory directory;
    struct acme_json_order json;
    struct acme_window window;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    if (!acme_json_read_directory(&arena, text, &directory))
        check_url(directory.new_order);
    if (!acme_json_read_window(text, &window))
        assert(window.end_ms > window.start_ms);
    (void)acme_json_problem(&arena, text);
    (void)acme_json_is_problem(text, "badNonce");
    if (!acme_json_read_authorization(&arena, text, &authorization))
        check_url(authorization.challenges[ACME_HTTP_01].url);
    if (!acme_json_read_order(&arena, text, &json) && !acme_order_take(&order, &arena, &json))
        drive(&order, &arena, text);
    arena_reset(&arena);
    return 0;
}
