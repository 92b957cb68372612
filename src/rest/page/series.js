/* SPDX-License-Identifier: Apache-2.0
 *
 * From counters, which only grow, to rates, shares and quantiles of the last ten seconds or so, and their course over
 * the last ten minutes. Memory is bounded whatever there is to count and however long the page is open. Pure: times
 * are those of the answers.
 */

export const SPAN_MS = 10 * 60 * 1000;
const WINDOW_MS = 10_000;
const POINTS_MAX = 400,
    APART_MS = 1500;
const COURSES_MAX = 120; // of routes, and as many of releases
const SNAPSHOTS_MAX = 16;

/* The value below which a share `q` of what was counted lies, in microseconds; null: nothing was. `edges` are the upper
 * ends of the buckets; within one it is taken to be spread evenly. */
export function quantile(buckets, edges, q) {
    const total = buckets.reduce((sum, pair) => sum + pair[1], 0);
    if (!total) return null;
    let left = q * total;
    for (const [bucket, number] of buckets) {
        if (left <= number || bucket >= edges.length) {
            if (bucket >= edges.length) return edges[edges.length - 1];
            const low = bucket ? edges[bucket - 1] : 0;
            return low + (edges[bucket] - low) * (number ? left / number : 0);
        }
        left -= number;
    }
    return edges[edges.length - 1];
}

/* Pairs of bucket and count, less those of before. */
function subtractPairs(now, before) {
    const old = new Map(before);
    return now
        .map(([bucket, number]) => [bucket, Math.max(0, number - (old.get(bucket) || 0))])
        .filter(pair => pair[1]);
}

function addPairs(list) {
    const sum = new Map();
    for (const pairs of list)
        for (const [bucket, number] of pairs) sum.set(bucket, (sum.get(bucket) || 0) + number);
    return [...sum].sort((a, b) => a[0] - b[0]);
}

function subtract(now, before) {
    const less = (a, b) => Math.max(0, a - b),
        out = {};
    for (const [key, number] of Object.entries(now || {})) out[key] = less(number, (before || {})[key] || 0);
    return out;
}

function sumCodes(codes, digit) {
    return Object.entries(codes).reduce((sum, [code, number]) => sum + (code[0] === digit ? number : 0), 0);
}

/* What came of requests within so many seconds. */
function look(requests, errors, buckets, edges, seconds) {
    return {
        rate: requests / seconds,
        requests,
        errors,
        share: requests ? errors / requests : null,
        p50: quantile(buckets, edges, 0.5),
        p95: quantile(buckets, edges, 0.95),
        p99: quantile(buckets, edges, 0.99),
    };
}

/* The last ten minutes of one thing: {at, rate, share, p50, p95, p99}. */
class Course {
    constructor() {
        this.points = [];
    }

    add(at, seen) {
        const {rate, share, p50, p95, p99} = seen,
            last = this.points[this.points.length - 1];
        if (last && at - last.at < APART_MS) this.points.pop(); // somebody asked twice: the later answer counts
        this.points.push({at, rate, share, p50, p95, p99});
        while (this.points.length > POINTS_MAX || at - this.points[0].at > SPAN_MS) this.points.shift();
    }
}

export class Series {
    constructor() {
        this.snapshots = [];
        this.total = new Course();
        this.courses = new Map();
        this.now = null; // {at, total, routes, releases, refused}
    }

    /* Takes an answer of GET /api/v1/counters?routes=true. */
    add(answer) {
        const last = this.snapshots[this.snapshots.length - 1];
        if (last && last.at_ms === answer.at_ms) return;
        if (last && (last.instance !== answer.instance || answer.at_ms < last.at_ms)) this.snapshots = []; // another process counts, from zero
        this.snapshots.push(answer);
        while (
            this.snapshots.length > SNAPSHOTS_MAX ||
            (this.snapshots.length > 2 && answer.at_ms - this.snapshots[1].at_ms >= WINDOW_MS)
        )
            this.snapshots.shift();
        if (this.snapshots.length > 1) this.compare(this.snapshots[0], answer);
    }

    compare(before, answer) {
        const seconds = (answer.at_ms - before.at_ms) / 1000;
        const routes = this.routes(before, answer, seconds);
        const edges = answer.latency_edges_us;
        const sum = key => routes.reduce((all, route) => all + route[key], 0);
        const total = look(
            sum("requests"),
            sum("errors"),
            addPairs(routes.map(r => r.buckets)),
            edges,
            seconds,
        );
        const refused = {};
        for (const route of routes)
            for (const [reason, number] of Object.entries(route.refused))
                refused[reason] = (refused[reason] || 0) + number / seconds;
        total.in_flight = sum("in_flight");
        total.bytes_in = sum("bytes_in");
        total.bytes_out = sum("bytes_out");
        this.now = {
            at: answer.at_ms,
            seconds,
            total,
            routes,
            releases: this.releases(before, answer, seconds),
            refused,
            routesTotal: answer.routes_total,
        };
        this.total.add(answer.at_ms, total);
    }

    routes(before, answer, seconds) {
        const old = new Map(before.routes.map(route => [route.name, route]));
        return answer.routes.map(route => {
            const was = old.get(route.name) || {codes: {}, refused: {}, latency: [], bytes: [0, 0]};
            const codes = subtract(route.codes, was.codes);
            const buckets = subtractPairs(route.latency, was.latency);
            const requests = Object.values(codes).reduce((a, b) => a + b, 0);
            const seen = look(requests, sumCodes(codes, "5"), buckets, answer.latency_edges_us, seconds);
            this.note(`route ${route.name}`, answer.at_ms, seen);
            return {
                ...seen,
                key: route.name,
                name: route.name,
                clientErrors: sumCodes(codes, "4"),
                buckets,
                refused: subtract(route.refused, was.refused),
                in_flight: route.in_flight,
                all: route.requests,
                bytes_in: Math.max(0, route.bytes[0] - was.bytes[0]) / seconds,
                bytes_out: Math.max(0, route.bytes[1] - was.bytes[1]) / seconds,
            };
        });
    }

    releases(before, answer, seconds) {
        const name = one => `${one.service}\n${one.release}`;
        const old = new Map(before.releases.map(one => [name(one), one]));
        return answer.releases.map(one => {
            const was = old.get(name(one)) || {requests: 0, failures: 0, latency: []};
            const requests = Math.max(0, one.requests - was.requests);
            const failures = Math.max(0, one.failures - was.failures);
            const seen = look(
                requests,
                failures,
                subtractPairs(one.latency, was.latency),
                answer.release_latency_edges_us,
                seconds,
            );
            this.note(`release ${name(one)}`, answer.at_ms, seen);
            return {...seen, key: name(one), service: one.service, release: one.release, all: one.requests};
        });
    }

    /* Keeps the course of something, if there is room. One that has ended makes room for another. */
    note(key, at, seen) {
        let course = this.courses.get(key);
        if (!course) {
            if (this.courses.size >= 2 * COURSES_MAX) this.forgetOld(at);
            if (this.courses.size >= 2 * COURSES_MAX) return;
            course = new Course();
            this.courses.set(key, course);
        }
        course.add(at, seen);
    }

    forgetOld(at) {
        for (const [key, course] of this.courses)
            if (at - course.points[course.points.length - 1].at > SPAN_MS / 2) this.courses.delete(key);
    }

    course(kind, key) {
        const course = this.courses.get(`${kind} ${key}`);
        return course ? course.points : [];
    }
}
