/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies that are validated: gathered whole, read, judged, and handed on byte for byte. On trial
 * they go on as they come, and a copy is judged.
 */
#include "base/clock.h"
#include "edge/filter/validate_visit.h"
#include "edge/loop.h"

enum { SCRATCH_MIN = 64 * 1024, SCRATCH_A_BYTE = 24 };

static struct slab *slab_of(const struct visit *visit)
{
    return &visit->env->loop->partials;
}

static bool read_body(struct visit *visit, struct str body, struct arena *scratch)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;
    const struct jschema_ask ask = {scratch, conf->seed, clock_us, clock_cpu_us};
    struct jschema_fault fault;
    struct doc_fault wrong;
    const struct doc_value *value = doc_read(body, scratch, conf->seed, &wrong);
    enum jschema_answer answer;

    if (!value) {
        state->detail = arena_format(visit->arena, "The body is not JSON at byte %zu: %s.",
                                     wrong.offset + 1, wrong.words);
        return validate_refuse(visit, wrong.problem == DOC_MALFORMED ? REASON_BODY_MALFORMED
                                                                     : REASON_BODY_TOO_COMPLEX);
    }
    answer = jschema_judge(state->schema, value, &ask, &fault);
    if (answer == JSCHEMA_FITS)
        return false;
    if (answer == JSCHEMA_TOO_COMPLEX)
        return validate_refuse(visit, REASON_BODY_TOO_COMPLEX);
    validate_note(visit, STR("The body"), &fault);
    return validate_refuse(visit, REASON_BODY_INVALID);
}

/* True: it is refused. */
static bool judge(struct visit *visit)
{
    struct validate_state *state = visit->state;
    struct str body = {state->body.len ? state->body.p : "", state->body.len};
    struct arena scratch;
    bool is_refused;

    if (!body.len && !state->is_required) {
        state->outcome = "no body";
        return false;
    }
    if (!body.len)
        return validate_refuse(visit, REASON_BODY_MISSING);
    state->outcome = "valid";
    arena_init(&scratch, &visit->env->loop->arenas, SCRATCH_MIN + SCRATCH_A_BYTE * body.len);
    is_refused = read_body(visit, body, &scratch);
    arena_reset(&scratch);
    return is_refused;
}

static enum reason pass_whole(struct visit *visit, const struct piece *end,
                              const struct body_way *way)
{
    struct validate_state *state = visit->state;
    struct piece whole = *end;
    enum reason why;

    whole.bytes = (struct str){state->body.len ? state->body.p : "", state->body.len};
    whole.is_lasting = false;
    why = filter_pass_body(way, &whole);
    buf_drop(&state->body, slab_of(visit));
    return why;
}

enum reason validate_take(struct visit *visit, const struct piece *piece,
                          const struct body_way *way)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;
    bool is_refused = false;

    if (state->is_passing)
        return filter_pass_body(way, piece);
    if (piece->bytes.len > conf->body_max - state->body.len)
        is_refused = validate_refuse(visit, REASON_BODY_TOO_LARGE);
    else if (piece->bytes.len && buf_append(&state->body, slab_of(visit), piece->bytes))
        is_refused = validate_refuse(visit, REASON_MEMORY_LIMIT);
    else if (piece->last)
        is_refused = judge(visit);
    if (is_refused)
        return state->why;
    if (conf->dry_run) {
        state->is_passing = state->why != REASON_NONE || piece->last;
        if (state->is_passing)
            buf_drop(&state->body, slab_of(visit));
        return filter_pass_body(way, piece);
    }
    return piece->last ? pass_whole(visit, piece, way) : REASON_NONE;
}
