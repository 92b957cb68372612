/* SPDX-License-Identifier: Apache-2.0
 *
 * fly.toml as a machine: what flyctl would make of it, for each process group, over what is live,
 * and every sentence against it. That a real clone of it is taken is for tests/provider.
 */
#include "control/provider/fly_toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "control/provider/fly_words.h"
#include "control/provider/toml.h"

static json_t *parsed(const char *text)
{
    char why[FLY_TOML_WHY_SIZE] = "";
    char *json = toml_json(text, strlen(text), why, sizeof(why));
    json_t *toml = json ? json_loads(json, 0, NULL) : NULL;

    if (!toml)
        fail_msg("%s", why);
    free(json);
    return toml;
}

/* The machine of the group; NULL: `why` and `fault` say it. */
static json_t *made(const char *text, const char *group, const json_t *live,
                    enum provider_fault *fault, char why[FLY_TOML_WHY_SIZE])
{
    json_t *toml = parsed(text);
    json_t *machine =
        fly_toml_machine(&(struct fly_toml_ask){toml, "fly.toml", group, live}, fault, why);

    json_decref(toml);
    return machine;
}

static void expect(const char *text, const char *group, const json_t *live, const char *expected)
{
    char why[FLY_TOML_WHY_SIZE] = "";
    enum provider_fault fault = PROVIDER_OK;
    json_t *machine = made(text, group, live, &fault, why);
    json_t *wanted = json_loads(expected, 0, NULL);

    assert_non_null(wanted);
    if (!machine || fault)
        fail_msg("%s", why);
    if (!json_equal(machine, wanted)) {
        char *shown = json_dumps(machine, JSON_SORT_KEYS);

        print_error("%s\n", shown);
        fail_msg("not as %s", expected);
    }
    json_decref(machine);
    json_decref(wanted);
}

static void expect_refused(const char *text, const char *group, enum provider_fault wanted,
                           const char *words)
{
    char why[FLY_TOML_WHY_SIZE] = "";
    enum provider_fault fault = PROVIDER_OK;
    json_t *machine = made(text, group, NULL, &fault, why);

    assert_null(machine);
    assert_int_equal(fault, wanted);
    if (strncmp(why, "fly.toml: ", 10) != 0 || !strstr(why, words))
        fail_msg("\"%s\" does not say \"%s\"", why, words);
}

#define BARE                                                                                       \
    "\"init\": {}, \"stop_config\": {}, \"files\": [], \"services\": [], "                         \
    "\"metadata\": {\"fly_process_group\": \"app\"}"
#define BARE_ENV "\"env\": {\"FLY_PROCESS_GROUP\": \"app\"}"

static void a_whole_file_is_taken(void **state)
{
    static const char text[] =
        "app = 'shop'\nprimary_region = 'cdg'\nkill_signal = 'SIGINT'\nkill_timeout = 30\n"
        "swap_size_mb = 512\n"
        "[experimental]\nentrypoint = ['/tini', '--']\n"
        "[build]\nimage = 'registry.fly.io/shop:v1'\n"
        "[deploy]\nrelease_command = 'migrate'\nstrategy = 'rolling'\n"
        "[env]\nMODE = 'production'\nPORT = 8080\nDEBUG = false\nRATE = 0.5\n"
        "[processes]\napp = 'bin/web --name \"two words\"'\nworker = 'bin/work'\n"
        "[[mounts]]\nsource = 'data'\ndestination = '/data'\nprocesses = ['worker']\n"
        "[http_service]\ninternal_port = 3000\nauto_stop_machines = 'stop'\nprocesses = ['app']\n"
        "[[services]]\ninternal_port = 9000\nprocesses = ['worker']\n"
        "[checks.up]\ntype = 'http'\n"
        "[[files]]\nguest_path = '/etc/a'\nraw_value = 'YQ=='\n"
        "[[files]]\nguest_path = '/etc/b'\nsecret_name = 'B'\nprocesses = ['app', 'worker']\n"
        "[[files]]\nguest_path = '/etc/c'\nraw_value = 'Yw=='\nprocesses = ['worker']\n"
        "[[restart]]\npolicy = 'always'\n"
        "[[vm]]\nsize = 'performance-2x'\n"
        "[[vm]]\nmemory = '1gb'\ncpus = 2\nprocesses = ['app']\n"
        "[[metrics]]\nport = 9091\npath = '/metrics'\n";

    (void)state;
    expect(text, "app", NULL,
           "{\"file\": \"fly.toml\", \"app\": \"shop\", \"release_command\": \"migrate\","
           "\"region\": \"cdg\", \"config\": {\"image\": \"registry.fly.io/shop:v1\","
           "\"env\": {\"MODE\": \"production\", \"PORT\": \"8080\", \"DEBUG\": \"false\","
           "\"RATE\": \"0.5\", \"PRIMARY_REGION\": \"cdg\", \"FLY_PROCESS_GROUP\": \"app\"},"
           "\"init\": {\"cmd\": [\"bin/web\", \"--name\", \"two words\"],"
           "\"entrypoint\": [\"/tini\", \"--\"], \"swap_size_mb\": 512},"
           "\"stop_config\": {\"signal\": \"SIGINT\", \"timeout\": \"30s\"},"
           "\"guest\": {\"cpu_kind\": \"shared\", \"cpus\": 2, \"memory_mb\": 1024},"
           "\"files\": [{\"guest_path\": \"/etc/a\", \"raw_value\": \"YQ==\"},"
           "{\"guest_path\": \"/etc/b\", \"secret_name\": \"B\"}],"
           "\"metrics\": {\"port\": 9091, \"path\": \"/metrics\"},"
           "\"services\": [{\"internal_port\": 3000}],"
           "\"metadata\": {\"fly_process_group\": \"app\"}}}");
    expect(text, "worker", NULL,
           "{\"file\": \"fly.toml\", \"app\": \"shop\", \"release_command\": \"migrate\","
           "\"region\": \"cdg\", \"config\": {\"image\": \"registry.fly.io/shop:v1\","
           "\"env\": {\"MODE\": \"production\", \"PORT\": \"8080\", \"DEBUG\": \"false\","
           "\"RATE\": \"0.5\", \"PRIMARY_REGION\": \"cdg\", \"FLY_PROCESS_GROUP\": \"worker\"},"
           "\"init\": {\"cmd\": [\"bin/work\"], \"entrypoint\": [\"/tini\", \"--\"],"
           "\"swap_size_mb\": 512},"
           "\"stop_config\": {\"signal\": \"SIGINT\", \"timeout\": \"30s\"},"
           "\"guest\": {\"cpu_kind\": \"performance\", \"cpus\": 2, \"memory_mb\": 4096},"
           "\"files\": [{\"guest_path\": \"/etc/b\", \"secret_name\": \"B\"},"
           "{\"guest_path\": \"/etc/c\", \"raw_value\": \"Yw==\"}],"
           "\"mounts\": [{\"path\": \"/data\"}],"
           "\"services\": [{\"internal_port\": 9000}],"
           "\"metadata\": {\"fly_process_group\": \"worker\"}}}");
}

static void an_empty_file_says_nothing(void **state)
{
    (void)state;
    expect("", "app", NULL, "{\"file\": \"fly.toml\", \"config\": {" BARE "," BARE_ENV "}}");
}

static void tables_that_are_written_once_are_lists_of_one(void **state)
{
    (void)state;
    expect("[vm]\nsize = 'shared-cpu-4x'\n[mounts]\ndestination = '/d'\n[metrics]\nport = 1\n"
           "[experimental]\ncmd = ['run']\nexec = ['x']\n",
           "app", NULL,
           "{\"file\": \"fly.toml\", \"config\": {" BARE_ENV ","
           "\"init\": {\"cmd\": [\"run\"], \"exec\": [\"x\"]}, \"stop_config\": {}, \"files\": [],"
           "\"guest\": {\"cpu_kind\": \"shared\", \"cpus\": 4, \"memory_mb\": 1024},"
           "\"mounts\": [{\"path\": \"/d\"}], \"metrics\": {\"port\": 1}, \"services\": [],"
           "\"metadata\": {\"fly_process_group\": \"app\"}}}");
}

/* What `fly scale` said stays; what the file says of anything else counts alone. */
static void what_is_live_stands_behind_it(void **state)
{
    json_t *live =
        json_pack("{s:s,s:s,s:{s:s},s:{s:s,s:{s:i},s:{s:s},s:{s:b,s:[s]},s:[{}],s:{},s:{s:s,s:s}}}",
                  "id", "m1", "region", "ams", "image_ref", "digest", "sha256:ab", "config",
                  "image", "shop:live", "guest", "cpus", 8, "env", "OLD", "1", "init", "tty", 1,
                  "cmd", "old", "mounts", "checks", "metadata", "fly_process_group", "app", "mine",
                  "x");

    (void)state;
    assert_non_null(live);
    expect("[env]\nNEW = '1'\n", "app", live,
           "{\"file\": \"fly.toml\", \"region\": \"ams\", \"image_ref\": {\"digest\": "
           "\"sha256:ab\"}, \"config\": {\"image\": \"shop:live\", \"guest\": {\"cpus\": 8},"
           "\"env\": {\"NEW\": \"1\", \"FLY_PROCESS_GROUP\": \"app\"}, \"init\": {\"tty\": true},"
           "\"stop_config\": {}, \"files\": [], \"services\": [],"
           "\"metadata\": {\"fly_process_group\": \"app\", \"mine\": \"x\"}}}");
    expect("primary_region = 'cdg'\n[build]\nimage = 'shop:file'\n", "app", live,
           "{\"file\": \"fly.toml\", \"region\": \"cdg\", \"config\": {\"image\": \"shop:file\","
           "\"guest\": {\"cpus\": 8}, \"init\": {\"tty\": true}, \"stop_config\": {},"
           "\"env\": {\"PRIMARY_REGION\": \"cdg\", \"FLY_PROCESS_GROUP\": \"app\"},"
           "\"files\": [], \"services\": [],"
           "\"metadata\": {\"fly_process_group\": \"app\", \"mine\": \"x\"}}}");
    json_decref(live);
}

static void the_first_group_by_name_is_the_usual_one(void **state)
{
    (void)state;
    expect("[processes]\nweb = ''\nalpha = ''\n[http_service]\ninternal_port = 1\n", "alpha", NULL,
           "{\"file\": \"fly.toml\", \"config\": {\"init\": {}, \"stop_config\": {}, "
           "\"env\": {\"FLY_PROCESS_GROUP\": \"alpha\"}, \"files\": [],"
           "\"services\": [{\"internal_port\": 1}],"
           "\"metadata\": {\"fly_process_group\": \"alpha\"}}}");
}

static void what_cannot_be_is_refused_in_words(void **state)
{
    static const struct {
        const char *text, *group;
        enum provider_fault fault;
        const char *words;
    } cases[] = {
        {"", "web", PROVIDER_PERMANENT, "no process group \"web\" (but \"app\")"},
        {"[processes]\nb='x'\na='y'", "app", PROVIDER_PERMANENT, "\"app\" (but \"a\")"},
        {"[processes]\napp='x \"y'", "app", PROVIDER_PERMANENT, "a quote is not closed"},
        {"[env]\nA=['x']", "app", PROVIDER_PERMANENT, "env.A is no text"},
        {"[env]\nA.b='x'", "app", PROVIDER_PERMANENT, "env.A is no text"},
        {"[vm]\nsize='a10'", "app", PROVIDER_UNSUPPORTED, "vm.size \"a10\" is not known"},
        {"[vm]\nsize='shared-cpu-0x'", "app", PROVIDER_UNSUPPORTED, "\"shared-cpu-0x\""},
        {"[vm]\nsize='shared-cpu-2'", "app", PROVIDER_UNSUPPORTED, "\"shared-cpu-2\""},
        {"[vm]\nmemory='lots'", "app", PROVIDER_PERMANENT, "vm.memory is no size"},
        {"[vm]\nmemory=0", "app", PROVIDER_PERMANENT, "vm.memory is no size"},
        {"[vm]\nmemory=['1gb']", "app", PROVIDER_PERMANENT, "vm.memory is no size"},
        {"[experimental]\nmachine_config='{}'", "app", PROVIDER_UNSUPPORTED, "machine_config"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_refused(cases[i].text, cases[i].group, cases[i].fault, cases[i].words);
}

static void memory_is_written_in_many_ways(void **state)
{
    static const struct {
        const char *written;
        int mb;
    } cases[] = {{"512", 512},    {"'512'", 512},    {"'512mb'", 512}, {"'512MiB'", 512},
                 {"'1gb'", 1024}, {"'1.5GB'", 1536}, {"'2 g'", 2048},  {"'256m'", 256}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[80], why[FLY_TOML_WHY_SIZE] = "";
        enum provider_fault fault = PROVIDER_OK;
        json_t *machine, *guest;

        snprintf(text, sizeof(text), "[vm]\nmemory = %s\n", cases[i].written);
        machine = made(text, "app", NULL, &fault, why);
        guest = json_object_get(json_object_get(machine, "config"), "guest");
        assert_int_equal(json_integer_value(json_object_get(guest, "memory_mb")), cases[i].mb);
        json_decref(machine);
    }
}

static void a_line_is_split_as_a_shell_would(void **state)
{
    static const struct {
        const char *line, *words; /* NULL: it cannot be */
    } cases[] = {{"", "[]"},
                 {"  a\tb  ", "[\"a\",\"b\"]"},
                 {"a 'b c' \"d e\"", "[\"a\",\"b c\",\"d e\"]"},
                 {"a'b'\"c\"d", "[\"abcd\"]"},
                 {"'' \"\"", "[\"\",\"\"]"},
                 {"a\\ b \"c\\\"d\" 'e\\f'", "[\"a b\",\"c\\\"d\",\"e\\\\f\"]"},
                 {"sh -c 'echo $PORT'", "[\"sh\",\"-c\",\"echo $PORT\"]"},
                 {"a # b", "[\"a\"]"},
                 {"a#b", "[\"a#b\"]"},
                 {"'a", NULL},
                 {"\"a\\", NULL},
                 {"a\\", NULL}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *words = fly_words(cases[i].line);
        json_t *wanted = cases[i].words ? json_loads(cases[i].words, 0, NULL) : NULL;

        if (!words != !wanted || (words && !json_equal(words, wanted)))
            fail_msg("%s", cases[i].line);
        json_decref(words);
        json_decref(wanted);
    }
}

/* --- from disk */

static char folder[] = "/tmp/fly_toml_XXXXXX";

static const char *put_file(const char *name, struct str text)
{
    static char path[64];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_write(path, text, 0600), 0);
    return path;
}

static void files_are_put_in_as_base64(void **state)
{
    char text[400], why[FLY_TOML_WHY_SIZE] = "";
    const json_t *files;
    json_t *toml;

    (void)state;
    snprintf(text, sizeof(text),
             "[[files]]\nguest_path='/a'\nlocal_path='%s'\n[[files]]\nguest_path='/b'\n"
             "raw_value='plain'\n[[files]]\nguest_path='/c'\nsecret_name='S'\n",
             put_file("a", (struct str){"\0\xff\n", 3}));
    toml = fly_toml_read(put_file("fly.toml", (struct str){text, strlen(text)}), why);
    if (!toml)
        fail_msg("%s", why);
    files = json_object_get(toml, "files");
    assert_string_equal(json_string_value(json_object_get(json_array_get(files, 0), "raw_value")),
                        "AP8K");
    assert_string_equal(json_string_value(json_object_get(json_array_get(files, 1), "raw_value")),
                        "cGxhaW4=");
    assert_null(json_object_get(json_array_get(files, 2), "raw_value"));
    json_decref(toml);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    static char large[FLY_TOML_SIZE_MAX + 2];
    static const struct {
        const char *text, *words;
    } cases[] = {{"a = ", "fly.toml: line 1, column 5: "},
                 {"x = 1\nx = 2\n", "fly.toml: line 2, column "},
                 {"a = \"\xff\"", "line 1, column "},
                 {"a = \"\\u0000\"", "fly.toml: "},
                 {"[[files]]\nlocal_path='/none/such'\n", "/none/such: there is no such file"},
                 {"[[files]]\nlocal_path='/'\n", "/: "},
                 {large, "has more than 256 KiB"}};
    char why[FLY_TOML_WHY_SIZE];

    (void)state;
    memset(large, '\n', sizeof(large) - 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = {cases[i].text, strlen(cases[i].text)};

        *why = '\0';
        assert_null(fly_toml_read(put_file("fly.toml", text), why));
        if (!strstr(why, cases[i].words))
            fail_msg("\"%s\" does not say \"%s\"", why, cases[i].words);
    }
    assert_null(fly_toml_read("/none/fly.toml", why));
    assert_string_equal(why, "/none/fly.toml: there is no such file");
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    char command[80];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_taken),
        cmocka_unit_test(an_empty_file_says_nothing),
        cmocka_unit_test(tables_that_are_written_once_are_lists_of_one),
        cmocka_unit_test(what_is_live_stands_behind_it),
        cmocka_unit_test(the_first_group_by_name_is_the_usual_one),
        cmocka_unit_test(what_cannot_be_is_refused_in_words),
        cmocka_unit_test(memory_is_written_in_many_ways),
        cmocka_unit_test(a_line_is_split_as_a_shell_would),
        cmocka_unit_test(files_are_put_in_as_base64),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
