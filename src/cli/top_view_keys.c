/* SPDX-License-Identifier: Apache-2.0
 *
 * What keys make of what is seen.
 */
#include <string.h>

#include "cli/top_view.h"

const char *top_view_name(enum top_view view)
{
    static const char *const names[TOP_VIEWS] = {
        [TOP_VIEW_ROUTES] = "routes",   [TOP_VIEW_SERVICES] = "services",
        [TOP_VIEW_TARGETS] = "targets", [TOP_VIEW_DEPLOYS] = "deploys",
        [TOP_VIEW_EVENTS] = "events",   [TOP_VIEW_PROBLEMS] = "problems"};

    return names[view];
}

void top_view_init(struct top_state *state)
{
    *state = (struct top_state){.page = 1,
                                .order = {[TOP_ROUTE] = {.field = TOP_RATE},
                                          [TOP_RELEASE] = {.field = TOP_NAME},
                                          [TOP_TARGET] = {.field = TOP_STATE}}};
}

/* --- the filter, while it is typed */

static void rub(char *filter)
{
    size_t len = strlen(filter);

    while (len && ((unsigned char)filter[len - 1] & 0xc0) == 0x80)
        len--;
    filter[len ? len - 1 : 0] = '\0';
}

static void type(struct top_state *state, const struct top_press *press)
{
    size_t len = strlen(state->filter);

    state->first[state->view] = 0;
    switch (press->key) {
    case TOP_KEY_ENTER:
        state->is_typing = false;
        break;
    case TOP_KEY_ESCAPE:
        state->is_typing = false;
        *state->filter = '\0';
        break;
    case TOP_KEY_BACKSPACE:
        rub(state->filter);
        break;
    case TOP_KEY_CLEAR:
        *state->filter = '\0';
        break;
    case TOP_KEY_TEXT:
        if (len + strlen(press->text) < sizeof(state->filter))
            strcat(state->filter, press->text);
        break;
    default:
        break;
    }
}

/* --- order */

static void order_by(struct top_state *state, enum top_field field)
{
    struct top_order *order = &state->order[state->view];

    order->is_reversed = order->field == field && !order->is_reversed;
    order->field = field;
    state->first[state->view] = 0;
}

/* To the column beside, and round. */
static void order_beside(struct top_state *state, int step)
{
    struct top_order *order = &state->order[state->view];
    size_t count, at = 0;
    const struct top_column *columns = top_table_columns((enum top_kind)state->view, &count);

    while (at + 1 < count && columns[at].field != order->field)
        at++;
    order->field = columns[(at + count + (size_t)step) % count].field;
    order->is_reversed = false;
    state->first[state->view] = 0;
}

static void order_key(struct top_state *state, char key)
{
    static const struct {
        char key;
        enum top_field field;
    } keys[] = {{'n', TOP_NAME}, {'t', TOP_RATE},      {'e', TOP_ERROR_SHARE},
                {'l', TOP_P99},  {'f', TOP_IN_FLIGHT}, {'s', TOP_STATE}};

    if ((unsigned)state->view >= TOP_KINDS)
        return;
    if (key == 'r')
        state->order[state->view].is_reversed = !state->order[state->view].is_reversed;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const char *name = top_table_name(keys[i].field);

        if (keys[i].key == key && top_table_field((enum top_kind)state->view, name) != TOP_FIELDS)
            order_by(state, keys[i].field);
    }
}

/* --- the rest */

static void scroll(struct top_state *state, enum top_key key)
{
    size_t *first = &state->first[state->view], page = state->page ? state->page : 1;

    switch (key) {
    case TOP_KEY_UP:
        *first -= *first > 0;
        break;
    case TOP_KEY_DOWN:
        ++*first;
        break;
    case TOP_KEY_PAGE_UP:
        *first -= *first < page ? *first : page;
        break;
    case TOP_KEY_PAGE_DOWN:
        *first += page;
        break;
    case TOP_KEY_HOME:
        *first = 0;
        break;
    case TOP_KEY_END:
        *first = SIZE_MAX / 2; // drawing cuts it to what there is
        break;
    default:
        break;
    }
}

static bool press_letter(struct top_state *state, char key)
{
    if (key == 'q')
        return false;
    if (key >= '1' && key < '1' + TOP_VIEWS)
        state->view = (enum top_view)(key - '1');
    else if (key == '/')
        state->is_typing = true;
    else if (key == 'p' || key == ' ')
        state->is_paused = !state->is_paused;
    else if (key == 'h' || key == '?')
        state->has_help = !state->has_help;
    else if (key == 'g' || key == 'G')
        scroll(state, key == 'g' ? TOP_KEY_HOME : TOP_KEY_END);
    else if (key == 'k' || key == 'j')
        scroll(state, key == 'k' ? TOP_KEY_UP : TOP_KEY_DOWN);
    else
        order_key(state, key);
    return true;
}

bool top_view_press(struct top_state *state, const struct top_press *press)
{
    bool has_rows = (unsigned)state->view < TOP_KINDS;

    if (press->key == TOP_KEY_QUIT)
        return false;
    if (state->is_typing) {
        type(state, press);
        return true;
    }
    switch (press->key) {
    case TOP_KEY_TEXT:
        return press_letter(state, press->text[1] ? '\0' : *press->text);
    case TOP_KEY_TAB:
        state->view = (enum top_view)((state->view + 1) % TOP_VIEWS);
        break;
    case TOP_KEY_BACK_TAB:
        state->view = (enum top_view)((state->view + TOP_VIEWS - 1) % TOP_VIEWS);
        break;
    case TOP_KEY_LEFT:
    case TOP_KEY_RIGHT:
        if (has_rows)
            order_beside(state, press->key == TOP_KEY_LEFT ? -1 : 1);
        break;
    case TOP_KEY_ESCAPE:
        *state->filter = '\0';
        state->has_help = false;
        break;
    default:
        scroll(state, press->key);
    }
    return true;
}
