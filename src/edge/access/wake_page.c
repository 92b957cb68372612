/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/wake_page.h"

enum { ASK_MIN_S = 1, ASK_MAX_S = 10, ASK_UNKNOWN_S = 3 };

static const char page[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"robots\" content=\"noindex\">"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<meta name=\"color-scheme\" content=\"light dark\">"
    "<meta http-equiv=\"refresh\" content=\"%u\"><title>Starting</title></head><body><main>"
    "<h1>Starting</h1><p role=\"status\">Nobody has been here for a while, so this site was put to "
    "sleep. It is being started%.*s; this page then opens it by itself.</p>"
    "<p><progress aria-label=\"Starting\"></progress></p>"
    "<p><small>request %.*s</small></p></main></body></html>\n";

struct str wake_page(struct arena *arena, uint32_t left_s, struct str request_id)
{
    struct str words = STR("");
    uint32_t ask_s = left_s < ASK_MAX_S ? left_s : ASK_MAX_S;

    if (ask_s < ASK_MIN_S)
        ask_s = ASK_MIN_S;
    if (left_s)
        words = arena_format(arena, ", which takes about %u more second%s", left_s,
                             left_s == 1 ? "" : "s");
    if (!words.p)
        return words;
    return arena_format(arena, page, left_s ? ask_s : ASK_UNKNOWN_S, STR_FMT(words),
                        STR_FMT(request_id));
}
