/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/text.h"

enum { CALL_TIMEOUT_S = 120, CONNECT_TIMEOUT_S = 5, TARGETS_MAX = 64, SAID_MAX = 4096 };

static const char *default_admin(void)
{
    const char *named = getenv("SLUICE_ADMIN");

    if (named && *named)
        return named;
    if (access("state/admin.sock", F_OK) && !access("/var/lib/sluice/admin.sock", F_OK))
        return "unix:/var/lib/sluice/admin.sock";
    return "unix:state/admin.sock";
}

static const char **option_of(struct client *client, const char *word)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--admin", &client->admin},
        {"--token", &client->token},
        {"--wait", &client->wait},
        {"--match", &client->match},
        {"--method", &client->method},
        {"--id", &client->id},
        {"--weight", &client->weight},
        {"--region", &client->region},
        {"--priority", &client->priority},
        {"--for", &client->span},
        {"--tier", &client->tier},
        {"--expires", &client->expires},
        {"--follow", &client->follow},
        {"--release", &client->release},
        {"--stable", &client->stable},
        {"--since", &client->since},
        {"--limit", &client->limit},
        {"--state", &client->state},
        {"--image", &client->image},
        {"--strategy", &client->strategy},
        {"--ca", &client->ca},
        {"--interval", &client->interval},
        {"--count", &client->count},
        {"--view", &client->view},
        {"--sort", &client->sort},
        {"--filter", &client->filter},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (!strcmp(word, options[i].name))
            return options[i].value;
    return NULL;
}

static bool complain(const char *command, const char *word, const char *usage)
{
    fprintf(stderr, "sluice %s: what is \"%s\"?\nusage: sluice %s %s\n", command, word, command,
            usage);
    return false;
}

static bool *flag_of(struct client *client, const char *word)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"--json", &client->json},     {"--watch", &client->watch},
        {"--reset", &client->reset},   {"--breaking", &client->breaking},
        {"--detach", &client->detach}, {"--verify", &client->verify},
        {"--plan", &client->plan},     {"--once", &client->once},
        {"--plain", &client->plain},
    };

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
        if (!strcmp(word, flags[i].name))
            return flags[i].flag;
    return NULL;
}

bool client_parse(struct client *client, int argc, char **argv, const char *usage)
{
    int most = (int)(sizeof(client->words) / sizeof(*client->words));

    *client = (struct client){.admin = default_admin(),
                              .token = getenv("SLUICE_TOKEN"),
                              .ca = getenv("SLUICE_ADMIN_CA")};
    for (int i = 1; i < argc; i++) {
        const char **value = option_of(client, argv[i]);
        bool *flag = flag_of(client, argv[i]);

        if (flag)
            *flag = true;
        else if (!strcmp(argv[i], "--target") && i + 1 < argc && client->target_count < TARGETS_MAX)
            client->targets[client->target_count++] = argv[++i];
        else if (value && i + 1 < argc)
            *value = argv[++i];
        else if (value || argv[i][0] == '-' || client->word_count == most)
            return complain(argv[0], argv[i], usage);
        else
            client->words[client->word_count++] = argv[i];
    }
    return true;
}

/* --- one call */

struct received {
    char *p;
    size_t len;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    struct received *received = owner;
    size_t n = size * count;
    char *p = realloc(received->p, received->len + n + 1);

    if (!p)
        return 0;
    memcpy(p + received->len, bytes, n);
    received->p = p;
    received->len += n;
    p[received->len] = '\0';
    return n;
}

static void set_address(CURL *curl, const struct client *client, const char *path)
{
    const char *base = client->admin;
    char *url = NULL;

    if (!strncmp(base, "unix:", 5)) {
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, base + 5);
        base = "http://localhost";
    }
    if (asprintf(&url, "%s%s", base, path) < 0)
        return;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    free(url);
}

/* The system's authorities have no say beside one that was named. */
static void set_trust(CURL *curl, const struct client *client)
{
    if (!client->ca || !*client->ca)
        return;
    curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
}

struct client_key client_new_key(void)
{
    struct client_key key = {""};
    uint64_t numbers[2];

    if (getrandom(numbers, sizeof(numbers), 0) == sizeof(numbers))
        snprintf(key.text, sizeof(key.text), "%016" PRIx64 "%016" PRIx64, numbers[0], numbers[1]);
    return key;
}

static struct curl_slist *set_headers(CURL *curl, const struct client *client)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char *line = NULL;

    if (client->token && asprintf(&line, "Authorization: Bearer %s", client->token) >= 0)
        headers = curl_slist_append(headers, line);
    free(line);
    line = NULL;
    if (client->key && *client->key && asprintf(&line, "Idempotency-Key: %s", client->key) >= 0)
        headers = curl_slist_append(headers, line);
    free(line);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    return headers;
}

int client_try(const struct client *client, const char *method, const char *path, json_t *body,
               struct client_answer *answer)
{
    CURL *curl = curl_easy_init();
    char *text = body ? json_dumps(body, 0) : NULL;
    struct received received = {0};
    struct curl_slist *headers;
    CURLcode code;

    *answer = (struct client_answer){0};
    if (!curl)
        return CLIENT_FAILED;
    set_address(curl, client, path);
    set_trust(curl, client);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, answer->why);
    headers = set_headers(curl, client);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &received);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)CALL_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    if (text)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(text);
    answer->text = received.p;
    answer->body = received.p ? json_loads(received.p, 0, NULL) : NULL;
    if (code)
        return CLIENT_UNREACHABLE;
    return answer->status / 100 == 2 ? CLIENT_OK : CLIENT_FAILED;
}

void *client_handle(const struct client *client, const char *path, struct curl_slist **fields)
{
    CURL *curl = curl_easy_init();

    *fields = NULL;
    if (!curl)
        return NULL;
    set_address(curl, client, path);
    set_trust(curl, client);
    *fields = set_headers(curl, client);
    return curl;
}

/* Diagnostics as the gateway rendered them, else the problem's sentence. */
static void explain(const struct client_answer *answer)
{
    const char *detail = json_string_value(json_object_get(answer->body, "detail"));
    const char *title = json_string_value(json_object_get(answer->body, "title"));
    json_t *errors = json_object_get(answer->body, "errors"), *error;
    char said[SAID_MAX];
    size_t i;

    json_array_foreach(errors, i, error)
    {
        const char *rendered = json_string_value(json_object_get(error, "rendered"));

        fprintf(stderr, "%s", rendered ? rendered : "");
    }
    if (!detail)
        detail = title ? title : "the gateway refused";
    text_clean(said, sizeof(said), (struct str){detail, strlen(detail)});
    fprintf(stderr, "sluice: %s (%ld)\n", said, answer->status);
}

/* With TLS there is more that can be wrong than that nothing listens. */
static void explain_tls(const struct client *client, const struct client_answer *answer)
{
    fprintf(stderr, "sluice: cannot reach a gateway at %s: %s\n", client->admin,
            *answer->why ? answer->why : "it does not answer");
    if (strstr(answer->why, "certificate") && (!client->ca || !*client->ca))
        fprintf(stderr, "Say whose certificates to trust with --ca FILE or SLUICE_ADMIN_CA.\n");
}

int client_report(const struct client *client, int code, const struct client_answer *answer)
{
    if (code == CLIENT_UNREACHABLE && !strncmp(client->admin, "https://", 8))
        explain_tls(client, answer);
    else if (code == CLIENT_UNREACHABLE)
        fprintf(stderr,
                "sluice: cannot reach a gateway at %s\nIs it running? Say where with --admin "
                "http://HOST:PORT or --admin unix:PATH.\n",
                client->admin);
    else if (code)
        explain(answer);
    return code;
}

int client_call(const struct client *client, const char *method, const char *path, json_t *body,
                struct client_answer *answer)
{
    return client_report(client, client_try(client, method, path, body, answer), answer);
}

int client_tell(const struct client *client, const char *verb, json_t *body,
                struct client_answer *answer)
{
    char *service = client_encode(client->words[0]), *path = NULL;
    int code = CLIENT_FAILED;

    *answer = (struct client_answer){0};
    if (service && asprintf(&path, "/api/v1/services/%s/%s", service, verb) < 0)
        path = NULL;
    if (path)
        code = client_call(client, "POST", path, body, answer);
    json_decref(body);
    free(path);
    free(service);
    return code;
}

/* --- one call whose answer is a file */

struct download {
    CURL *curl;
    FILE *file;
    struct received refusal;
};

static size_t on_piece(char *bytes, size_t size, size_t count, void *owner)
{
    struct download *download = owner;
    long status = 0;

    curl_easy_getinfo(download->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return on_bytes(bytes, size, count, &download->refusal);
    return fwrite(bytes, 1, size * count, download->file);
}

int client_download(const struct client *client, const char *path, FILE *file)
{
    struct download download = {.curl = curl_easy_init(), .file = file};
    struct client_answer answer = {0};
    struct curl_slist *headers;
    CURLcode code;

    if (!download.curl)
        return CLIENT_FAILED;
    set_address(download.curl, client, path);
    set_trust(download.curl, client);
    curl_easy_setopt(download.curl, CURLOPT_ERRORBUFFER, answer.why);
    headers = set_headers(download.curl, client);
    curl_easy_setopt(download.curl, CURLOPT_WRITEFUNCTION, on_piece);
    curl_easy_setopt(download.curl, CURLOPT_WRITEDATA, &download);
    curl_easy_setopt(download.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(download.curl, CURLOPT_LOW_SPEED_TIME, (long)CALL_TIMEOUT_S);
    curl_easy_setopt(download.curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    code = curl_easy_perform(download.curl);
    curl_easy_getinfo(download.curl, CURLINFO_RESPONSE_CODE, &answer.status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(download.curl);
    answer.text = download.refusal.p;
    answer.body = answer.text ? json_loads(answer.text, 0, NULL) : NULL;
    if (code && answer.status == 200) {
        fprintf(stderr, "sluice: the answer broke off: %s\n", curl_easy_strerror(code));
        client_free(&answer);
        return CLIENT_FAILED;
    }
    int result = client_report(client,
                               code                   ? CLIENT_UNREACHABLE
                               : answer.status == 200 ? CLIENT_OK
                                                      : CLIENT_FAILED,
                               &answer);

    client_free(&answer);
    return result;
}

void client_free(struct client_answer *answer)
{
    json_decref(answer->body);
    free(answer->text);
    *answer = (struct client_answer){0};
}

char *client_encode(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = malloc(strlen(text) * 3 + 1), *at = out;

    for (; out && *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool is_plain =
            (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || strchr("-._~", c);

        if (is_plain) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    if (out)
        *at = '\0';
    return out;
}

void client_print(const struct client_answer *answer)
{
    if (!answer->body)
        return;
    json_dumpf(answer->body, stdout, JSON_INDENT(2));
    putchar('\n');
}
