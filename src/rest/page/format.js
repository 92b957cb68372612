/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers and times as people read them. Pure.
 */

export function count(number) {
    return number.toLocaleString("en-US");
}

/* "1 target is", "3 targets are" by plural(n, "target is", "targets are"). */
export function plural(number, one, many) {
    return `${count(number)} ${number === 1 ? one : many}`;
}

/* A rate each second: three digits that matter. */
export function rate(number) {
    if (number === null || number === undefined) return "-";
    if (number >= 100 || number === 0) return count(Math.round(number));
    return number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

/* Of a share from 0 to 1. */
export function percent(share) {
    if (share === null || share === undefined || Number.isNaN(share)) return "-";
    const number = share * 100;
    if (number === 0 || number === 100) return `${number} %`;
    if (number < 0.01) return "< 0.01 %";
    if (number > 99) return `${+number.toFixed(3)} %`;
    return `${number < 1 ? number.toFixed(2) : number < 10 ? number.toFixed(1) : Math.round(number)} %`;
}

/* Of microseconds. */
export function latency(us) {
    if (us === null || us === undefined) return "-";
    if (us < 1000) return `${Math.round(us)} us`;
    if (us < 10_000) return `${(us / 1000).toFixed(1)} ms`;
    return us < 1_000_000 ? `${Math.round(us / 1000)} ms` : `${(us / 1_000_000).toFixed(2)} s`;
}

export function bytes(number) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (number >= 1024 && i < units.length - 1) {
        number /= 1024;
        i++;
    }
    return `${i && number < 10 ? number.toFixed(1) : Math.round(number)} ${units[i]}`;
}

/* "12 s", "5 min", "3 h", "2 d". */
export function span(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 120) return `${seconds} s`;
    if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
    return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/* "21:04:33", the time of the day here. */
export function clock(ms) {
    return new Date(ms).toLocaleTimeString("en-GB");
}

/* "2026-11-28 21:04". */
export function day(ms) {
    const date = new Date(ms),
        two = number => String(number).padStart(2, "0");
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/* "a", "a and b", "a, b and 3 more". */
export function some(words, most = 3) {
    if (words.length <= 1) return words.join("");
    if (words.length <= most) return `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;
    return `${words.slice(0, most).join(", ")} and ${count(words.length - most)} more`;
}
