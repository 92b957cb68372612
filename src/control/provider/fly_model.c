/* SPDX-License-Identifier: Apache-2.0
 *
 * What new machines are cloned from: one that is there, or one that fly.toml describes. The file is
 * read each time, so a change of it counts from the next release on.
 */
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "control/provider/fly_impl.h"
#include "control/provider/fly_toml.h"

static const json_t *read_toml(struct fly_job *job, const json_t *live, enum provider_fault *fault,
                               char *why)
{
    const struct conf_fly *conf = job->fly->conf;
    const char *slash = strrchr(conf->like.s.p, '/');
    struct fly_toml_ask ask = {.name = slash ? slash + 1 : conf->like.s.p,
                               .group = conf->group.s.p,
                               .live = live};
    json_t *toml = fly_toml_read(conf->like.s.p, why);

    _Static_assert((int)FLY_TOML_WHY_SIZE <= (int)FLY_CLONE_WHY_SIZE, "`why` has room for either");
    json_decref(job->model);
    job->model = NULL;
    *fault = PROVIDER_PERMANENT;
    ask.toml = toml;
    if (toml)
        job->model = fly_toml_machine(&ask, fault, why);
    json_decref(toml);
    return job->model;
}

static bool is_live(const struct conf_fly *conf)
{
    return str_same(conf->like.s, STR("live"));
}

const json_t *fly_model_find(struct fly_job *job, enum provider_fault *fault,
                             char why[FLY_CLONE_WHY_SIZE])
{
    const struct conf_fly *conf = job->fly->conf;
    const json_t *model = fly_clone_pick(job->machines, conf, &job->clone);

    if (!is_live(conf) && !(model && fly_clone_is_same(model, &job->clone))) {
        model = read_toml(job, model, fault, why);
    } else if (!model) {
        *fault = PROVIDER_PERMANENT;
        snprintf(why, FLY_CLONE_WHY_SIZE,
                 "app %s has no machine of group %s to be cloned: deploy it once with fly, or name "
                 "its fly.toml in `like`",
                 conf->app.s.p, conf->group.s.p);
    }
    if (model)
        *fault = fly_clone_check(model, &job->clone, why);
    return model && !*fault ? model : NULL;
}
