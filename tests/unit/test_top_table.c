/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rows, in which order, in which columns, and how numbers are written.
 */
#include <locale.h>

#include "test_top_rig.h"

enum { MANY = 5000 };

static struct top_row rows[] = {
    {.text = {"cart", "", "", "up", ""}, .style = TOP_GOOD},
    {.text = {"shop", "", "", "down", "Refused"}, .style = TOP_BAD},
    {.text = {"api", "", "", "drained", ""}, .style = TOP_WARN},
    {.text = {"blog", "", "", "up", ""}, .style = TOP_GOOD},
};

static void set_rates(void)
{
    static const double rates[] = {3, NAN, 70, 3};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        rows[i].number[TOP_RATE - TOP_TEXTS] = rates[i];
}

static void picks(enum top_field field, bool is_reversed, const char *filter, const char *wanted)
{
    const struct top_rows all = {rows, ARRAY_LEN(rows)};
    const struct top_order order = {field, is_reversed};
    const struct top_row *picked[ARRAY_LEN(rows)];
    size_t count = top_table_pick(&all, &order, filter, picked);
    char names[64] = "";

    for (size_t i = 0; i < count; i++)
        strcat(strcat(names, i ? " " : ""), picked[i]->text[TOP_NAME]);
    assert_string_equal(names, wanted);
}

static void rows_are_ordered(void **state)
{
    (void)state;
    set_rates();
    picks(TOP_NAME, false, "", "api blog cart shop");
    picks(TOP_NAME, true, "", "shop cart blog api");
    picks(TOP_RATE, false, "", "api blog cart shop"); // what is not known comes last
    picks(TOP_RATE, true, "", "blog cart api shop");
    picks(TOP_STATE, false, "", "shop api blog cart"); // the worst first
}

static void rows_are_filtered(void **state)
{
    (void)state;
    picks(TOP_NAME, false, "A", "api cart");
    picks(TOP_NAME, false, "refused", "shop");
    picks(TOP_NAME, false, "nobody", "");
}

static void numbers_are_short(void **state)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {{0, "0"},         {0.004, "0"},     {0.25, "0.25"},       {9.999, "10.0"},
                 {12.34, "12.3"},  {999.96, "1000"}, {9999, "9999"},       {12345, "12.3k"},
                 {999999, "1.0M"}, {2.5e9, "2.5G"},  {1e30, "1000000.0P"}, {NAN, "-"}};
    struct top_row row = {0};
    char text[TOP_NUMBER];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        row.number[TOP_RATE - TOP_TEXTS] = cases[i].number;
        assert_string_equal(top_table_text(&row, TOP_RATE, text), cases[i].text);
    }
    row.number[TOP_BUDGET - TOP_TEXTS] = -20;
    assert_string_equal(top_table_text(&row, TOP_BUDGET, text), "-20%");
    row.number[TOP_UP - TOP_TEXTS] = 2;
    row.number[TOP_OF - TOP_TEXTS] = 3;
    assert_string_equal(top_table_text(&row, TOP_UP, text), "2/3");
    row.number[TOP_IN_FLIGHT - TOP_TEXTS] = 7;
    assert_string_equal(top_table_text(&row, TOP_IN_FLIGHT, text), "7");
}

/* In any width columns stand beside each other, within it, and the first is there. */
static void columns_fit(void **state)
{
    const struct top_rows all = {rows, ARRAY_LEN(rows)};

    (void)state;
    for (unsigned kind = 0; kind < TOP_KINDS; kind++)
        for (unsigned width = 1; width < 300; width++) {
            struct top_layout layout;
            unsigned end = 0;

            top_table_lay(&layout, (enum top_kind)kind, &all, width, true);
            assert_true(layout.count > 0);
            assert_int_equal(layout.items[0].column->field, TOP_NAME);
            for (size_t i = 0; i < layout.count; i++) {
                assert_int_equal(layout.items[i].at, end);
                end += layout.items[i].width + 1;
            }
            assert_int_equal(end - 1, layout.width);
            if (layout.count > 1)
                assert_true(layout.width <= width);
        }
}

static void columns_are_named(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < TOP_KINDS; kind++) {
        size_t count;
        const struct top_column *columns = top_table_columns((enum top_kind)kind, &count);

        assert_true(count <= TOP_COLUMNS);
        for (size_t i = 0; i < count; i++) {
            const char *name = top_table_name(columns[i].field);

            assert_non_null(name);
            assert_int_equal(top_table_field((enum top_kind)kind, name), columns[i].field);
            assert_true(columns[i].rank < count);
            assert_true(strlen(columns[i].title) <= columns[i].width);
            for (size_t k = 0; k < i; k++)
                assert_true(columns[k].rank != columns[i].rank);
        }
    }
    assert_int_equal(top_table_field(TOP_ROUTE, "nothing"), TOP_FIELDS);
    assert_int_equal(top_table_field(TOP_ROUTE, "waiting"), TOP_FIELDS);
}

static void many_rows_are_quick(void **state)
{
    struct top_row *many = calloc(MANY, sizeof(*many));
    const struct top_row **picked = calloc(MANY, sizeof(*picked));
    const struct top_rows all = {many, MANY};
    const struct top_order order = {TOP_RATE, false};
    char(*names)[16] = calloc(MANY, sizeof(*names));

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        many[i] = rows[0];
        snprintf(names[i], sizeof(names[i]), "t%zu", i);
        many[i].text[TOP_NAME] = names[i];
        many[i].number[TOP_RATE - TOP_TEXTS] = (double)(i * 7919 % MANY);
    }
    assert_int_equal(top_table_pick(&all, &order, "t", picked), MANY);
    for (size_t i = 1; i < MANY; i++)
        assert_true(top_number(picked[i - 1], TOP_RATE) >= top_number(picked[i], TOP_RATE));
    free(names);
    free(picked);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_ordered),  cmocka_unit_test(rows_are_filtered),
        cmocka_unit_test(numbers_are_short), cmocka_unit_test(columns_fit),
        cmocka_unit_test(columns_are_named), cmocka_unit_test(many_rows_are_quick),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
