/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/conf.h"
#include "control/unit_client.h"

static const char deploy_prefix[] = "SLUICE_DEPLOY_";

struct process;

/* A call that is under way: asked, or waiting for its unit to get where it shall be. */
struct job {
    struct job *next;
    struct process *process;
    struct provider_call call;
    enum unit_call kind;
    enum provider_fault refusal; /* OK: as the status of the answer says */
    char id[UNIT_ID_SIZE];
    struct unit_client_call *ask; /* NULL: answered */
    struct unit_view *views;      /* LIST: those that came so far, of our service */
    uint32_t count;
};

struct process {
    struct provider_env env;
    struct unit_client_watch watch;
    struct job *jobs;
    uint32_t grace_ms;
    char service[UNIT_SERVICE_SIZE];
};

/* A view in the words of the contract. */
struct shown {
    struct provider_unit unit;
    char handle[16], address[24];
};

static enum provider_fault fault_of(enum status status)
{
    switch (status) {
    case OK:
        return PROVIDER_OK;
    case E_FULL:
        return PROVIDER_CAPACITY;
    case E_DENIED:
        return PROVIDER_UNAUTHORIZED;
    case E_AGAIN:
    case E_CLOSED:
    case E_IO:
    case E_NOMEM:
        return PROVIDER_TRANSIENT;
    default:
        return PROVIDER_PERMANENT;
    }
}

static void show(struct shown *shown, const struct unit_view *view)
{
    static const enum provider_state states[] = {
        [UNIT_STARTING] = PROVIDER_STARTING, [UNIT_RUNNING] = PROVIDER_RUNNING,
        [UNIT_STOPPING] = PROVIDER_STOPPING, [UNIT_STOPPED] = PROVIDER_STOPPED,
        [UNIT_FAILED] = PROVIDER_FAILED,
    };

    snprintf(shown->handle, sizeof(shown->handle), "%d", (int)view->pid);
    snprintf(shown->address, sizeof(shown->address), "127.0.0.1:%u", (unsigned)view->port);
    shown->unit = (struct provider_unit){
        .id = view->id,
        .service = view->service,
        .release = view->release,
        .handle = view->pid ? shown->handle : NULL,
        .address = view->pid ? shown->address : NULL,
        .state = states[view->state],
        .fault = fault_of((enum status)view->fault),
        .reason = *view->reason ? view->reason : NULL,
        .exit_code = view->exit_code,
        .signal = view->signal,
        .restarts = view->restarts,
        .started_ms = view->started_ms,
        .since_ms = view->changed_ms,
        .lived_ms = view->lived_ms,
        .tail = {view->tail, view->tail_len},
    };
}

/* ---- jobs */

static void finish(struct job *job, const struct provider_result *result)
{
    struct job **link = &job->process->jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    unit_client_cancel(&job->ask);
    job->call.done(job->call.owner, result);
    free(job->views);
    free(job);
}

static void finish_fault(struct job *job, enum provider_fault fault, const char *reason)
{
    finish(job, &(struct provider_result){.fault = fault, .reason = reason});
}

static void finish_unit(struct job *job, const struct unit_view *view)
{
    struct shown shown;
    struct provider_result result = {.units = &shown.unit, .unit_count = 1};

    show(&shown, view);
    if (job->kind == UNIT_START) {
        result.fault = shown.unit.fault;
        result.reason = shown.unit.fault ? shown.unit.reason : NULL;
    }
    finish(job, &result);
}

/* Whether the unit is where the job wants it, or will never be. */
static bool is_there(const struct job *job, const struct unit_view *view)
{
    bool has_ended = view->state == UNIT_STOPPED || view->state == UNIT_FAILED;

    return has_ended || (job->kind == UNIT_START && view->state == UNIT_RUNNING);
}

static void on_view(void *owner, const struct unit_view *view)
{
    struct process *process = owner;
    struct job *next;
    struct shown shown;

    if (strcmp(view->service, process->service) != 0)
        return;
    for (struct job *job = process->jobs; job; job = next) {
        next = job->next;
        if (!job->ask && !strcmp(job->id, view->id) && is_there(job, view))
            finish_unit(job, view);
    }
    show(&shown, view);
    if (process->env.on_unit)
        process->env.on_unit(process->env.owner, &shown.unit);
}

/* What waits for news waits in vain. Each end may begin others, so the list is begun anew. */
static void on_lost(void *owner)
{
    struct process *process = owner;
    struct job *job = process->jobs;

    while (job) {
        if (job->ask) {
            job = job->next;
            continue;
        }
        finish_fault(job, PROVIDER_TRANSIENT, "the supervisor is gone");
        job = process->jobs;
    }
}

static void finish_list(struct job *job)
{
    struct shown *shown = calloc(job->count ? job->count : 1, sizeof(*shown));
    struct provider_unit *units = calloc(job->count ? job->count : 1, sizeof(*units));

    if (!shown || !units) {
        finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
    } else {
        for (uint32_t i = 0; i < job->count; i++) {
            show(&shown[i], &job->views[i]);
            units[i] = shown[i].unit;
        }
        finish(job, &(struct provider_result){.units = units, .unit_count = job->count});
    }
    free(shown);
    free(units);
}

static void on_answer(void *owner, const struct unit_message *message);

/* A page of the list; true when all is there or nothing more will come. */
static bool take_page(struct job *job, const struct unit_message *message)
{
    struct unit_ask ask = {.call = UNIT_LIST, .from = message->head.next};
    struct unit_view *more =
        realloc(job->views, (job->count + message->head.count + 1) * sizeof(*more));

    if (!more) {
        finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
        return false;
    }
    job->views = more;
    for (uint32_t i = 0; i < message->head.count; i++)
        if (!strcmp(message->views[i].service, job->process->service))
            job->views[job->count++] = message->views[i];
    if (!message->head.next)
        return true;
    job->ask = unit_client_send(job->process->env.units, &ask, on_answer, job);
    if (!job->ask)
        finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
    return false;
}

static void on_answer(void *owner, const struct unit_message *message)
{
    struct job *job = owner;
    const struct unit_head *head = &message->head;
    bool is_gone = job->kind == UNIT_STOP && head->status == E_NOT_FOUND;

    job->ask = NULL;
    if (head->status && !is_gone) {
        finish_fault(job, job->refusal ? job->refusal : fault_of((enum status)head->status),
                     *head->error ? head->error : "there is no such unit");
    } else if (job->kind == UNIT_LOG) {
        finish(job, &(struct provider_result){.log = {message->log, head->len}});
    } else if (job->kind == UNIT_LIST) {
        if (take_page(job, message))
            finish_list(job);
    } else if (!head->count) {
        finish(job, &(struct provider_result){.fault = PROVIDER_OK});
    } else if (is_there(job, &message->views[0])) {
        finish_unit(job, &message->views[0]);
    }
}

/* NULL: no memory, and the call has ended. */
static struct job *begin(struct process *process, enum unit_call kind, const char *id,
                         struct provider_call call)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job) {
        call.done(call.owner, &(struct provider_result){.fault = PROVIDER_TRANSIENT,
                                                        .reason = "out of memory"});
        return NULL;
    }
    *job = (struct job){.next = process->jobs, .process = process, .call = call, .kind = kind};
    process->jobs = job;
    snprintf(job->id, sizeof(job->id), "%s", id ? id : "");
    return job;
}

static void ask(struct job *job, struct unit_ask *question)
{
    question->call = job->kind;
    memcpy(question->id, job->id, sizeof(question->id));
    job->ask = unit_client_send(job->process->env.units, question, on_answer, job);
    if (!job->ask)
        finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
}

static void refuse(struct job *job, enum provider_fault fault, const char *why)
{
    job->refusal = fault;
    job->ask = unit_client_refuse(job->process->env.units, E_INVALID, why, on_answer, job);
    if (!job->ask)
        finish_fault(job, fault, why);
}

/* ---- the contract */

/* False: a name is not for deploys, or it is too much. */
static bool put_env(struct unit_ask *question, const struct provider_spec *spec)
{
    for (uint32_t i = 0; i < spec->env_count; i++) {
        const struct provider_word *word = &spec->env[i];
        size_t room = sizeof(question->env) - question->env_len;
        int len =
            snprintf(question->env + question->env_len, room, "%s=%s", word->name, word->value);

        if (strncmp(word->name, deploy_prefix, sizeof(deploy_prefix) - 1) != 0 || len < 0 ||
            (size_t)len >= room)
            return false;
        question->env_len += (uint32_t)len + 1;
    }
    return true;
}

static bool is_id(const char *text)
{
    return unit_is_id(text, UNIT_ID_SIZE);
}

static void start(void *self, const struct provider_spec *spec, struct provider_call call)
{
    struct process *process = self;
    struct job *job = begin(process, UNIT_START, spec->id, call);
    struct unit_ask question = {.magic = UNIT_MAGIC};

    if (!job)
        return;
    if (spec->image || spec->region) {
        refuse(job, PROVIDER_UNSUPPORTED,
               "a process runs the command of the configuration: there are no images and no "
               "regions");
    } else if (!is_id(spec->id) || !is_id(spec->release)) {
        refuse(job, PROVIDER_PERMANENT,
               "ids and releases are 1 to 63 letters, digits, \"_\", \"-\" and \".\"");
    } else if (!put_env(&question, spec)) {
        refuse(job, PROVIDER_UNSUPPORTED,
               "a deploy gives a process at most 4 KiB of variables, whose names begin with "
               "SLUICE_DEPLOY_");
    } else {
        snprintf(question.release, sizeof(question.release), "%s", spec->release);
        memcpy(question.service, process->service, sizeof(question.service));
        ask(job, &question);
    }
}

static void stop(void *self, const struct provider_stop *stop, struct provider_call call)
{
    struct process *process = self;
    struct job *job = begin(process, UNIT_STOP, stop->id, call);
    uint32_t grace_ms = stop->grace_ms ? stop->grace_ms : process->grace_ms;
    struct unit_ask question = {.is_removed = stop->is_removed};

    if (!job)
        return;
    question.grace_ms = grace_ms < UNIT_GRACE_MAX_MS ? grace_ms : (uint32_t)UNIT_GRACE_MAX_MS;
    if (is_id(stop->id))
        ask(job, &question);
    else
        refuse(job, PROVIDER_PERMANENT, "this is no id of a unit");
}

static void list(void *self, struct provider_call call)
{
    struct job *job = begin(self, UNIT_LIST, NULL, call);

    if (job)
        ask(job, &(struct unit_ask){.from = 0});
}

static void get_log(void *self, const char *id, struct provider_call call)
{
    struct job *job = begin(self, UNIT_LOG, id, call);

    if (job && is_id(id))
        ask(job, &(struct unit_ask){.from = 0});
    else if (job)
        refuse(job, PROVIDER_PERMANENT, "this is no id of a unit");
}

static enum status open_process(const struct provider_env *env, const struct conf_service *service,
                                void **self)
{
    struct process *process;

    *self = NULL;
    if (!service->provider.process.is_set || !env->units ||
        service->name.s.len >= sizeof(process->service))
        return E_INVALID;
    process = calloc(1, sizeof(*process));
    if (!process)
        return E_NOMEM;
    process->env = *env;
    process->grace_ms = service->provider.process.grace_ms;
    memcpy(process->service, service->name.s.p, service->name.s.len);
    process->watch =
        (struct unit_client_watch){.on_view = on_view, .on_lost = on_lost, .owner = process};
    unit_client_watch(env->units, &process->watch);
    *self = process;
    return OK;
}

static void close_process(void **self)
{
    struct process *process = *self;

    *self = NULL;
    if (!process)
        return;
    unit_client_unwatch(process->env.units, &process->watch);
    while (process->jobs)
        finish_fault(process->jobs, PROVIDER_TRANSIENT, "control is ending");
    free(process);
}

const struct provider provider_process = {
    .name = "process",
    .abilities = PROVIDER_SIDE_BY_SIDE,
    .open = open_process,
    .start = start,
    .stop = stop,
    .list = list,
    .log = get_log,
    .close = close_process,
};
