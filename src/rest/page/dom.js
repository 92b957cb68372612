/* SPDX-License-Identifier: Apache-2.0
 *
 * Elements, and tables whose rows stay: what has not changed is not touched, so that focus, selection and a screen
 * reader's place survive each look.
 */

/* An element. Attributes that are null are left out; functions are listeners ("onclick"). Children are elements, or
 * texts, or null. Nothing here takes HTML, so no name of a route or of a target is ever read as such. */
export function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name.slice(2), value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter(child => child !== null && child !== undefined));
    return element;
}

export function byId(id) {
    return document.getElementById(id);
}

export function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
    if (element.className !== name) element.className = name;
}

export function setHidden(element, isHidden) {
    if (element.hidden !== isHidden) element.hidden = isHidden;
}

/* What is moved keeps the focus, which a browser takes from it otherwise. */
function moveBefore(parent, element, at) {
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    parent.insertBefore(element, at);
    if (focused) focused.focus({preventScroll: true});
}

/* Gives `parent` exactly one child for each item, in their order: those of before by their key, new ones by
 * build(item), which gives {element, update}. `kept` is the Map between looks. */
export function keepChildren(parent, items, kept, build) {
    const wanted = new Set(items.map(item => item.key));
    for (const [key, part] of kept) {
        if (wanted.has(key)) continue;
        part.element.remove();
        kept.delete(key);
    }
    let at = parent.firstElementChild;
    for (const item of items) {
        let part = kept.get(item.key);
        if (!part) {
            part = build(item);
            kept.set(item.key, part);
        }
        if (part.element === at) at = at.nextElementSibling;
        else moveBefore(parent, part.element, at);
        part.update(item);
    }
}

/* A region that can be scrolled sideways can be reached by keyboard, but only while there is something to scroll. */
function watchOverflow(region) {
    const look = () => {
        if (region.scrollWidth > region.clientWidth + 1) region.tabIndex = 0;
        else region.removeAttribute("tabindex");
    };
    const observer = new ResizeObserver(look);
    observer.observe(region);
    observer.observe(region.firstElementChild);
}

/* Columns: {title, text(row), tone(row)?, num?, words?, wide? (not on a phone), build(row)? instead of text, when()?: it
 * is there}. The first one names the row. Rows: anything with a `key`. */
export class Table {
    constructor(caption, columns) {
        this.columns = columns;
        this.kept = new Map();
        this.caption = make("span", {}, caption);
        this.note = make("span", {class: "quiet"});
        this.body = make("tbody");
        this.heads = columns.map(column =>
            make("th", {scope: "col", class: className(column) || null}, column.title),
        );
        const table = make(
            "table",
            {},
            make("caption", {}, this.caption, " ", this.note),
            make("thead", {}, make("tr", {}, ...this.heads)),
            this.body,
        );
        this.element = make(
            "div",
            {class: "scroll", role: "group", "aria-label": caption, hidden: true},
            table,
        );
        watchOverflow(this.element);
    }

    /* Nothing to show hides the whole; `note` stands behind the caption. */
    update(rows, note = "") {
        setHidden(this.element, !rows.length);
        setText(this.note, note);
        this.columns.forEach((column, i) => setHidden(this.heads[i], isAbsent(column)));
        keepChildren(this.body, rows, this.kept, row => this.buildRow(row));
    }

    buildRow(first) {
        const parts = this.columns.map((column, i) => buildCell(column, i === 0, first));
        return {
            element: make("tr", {}, ...parts.map(part => part.element)),
            update: row => parts.forEach(part => part.update(row)),
        };
    }
}

function isAbsent(column) {
    return Boolean(column.when) && !column.when();
}

function className(column) {
    return [column.num && "num", column.words && "words", column.wide && "wide-only"]
        .filter(Boolean)
        .join(" ");
}

/* A cell made of a text that changes, or of what the column builds for its row. */
function buildCell(column, isHead, row) {
    const usual = className(column);
    const element = make(isHead ? "th" : "td", {scope: isHead ? "row" : null, class: usual || null});
    if (column.build) {
        const part = column.build(row);
        element.append(part.element);
        return {
            element,
            update: now => {
                setHidden(element, isAbsent(column));
                part.update(now);
            },
        };
    }
    return {
        element,
        update: now => {
            setHidden(element, isAbsent(column));
            const tone = column.tone ? column.tone(now) : "";
            setText(element, column.text(now));
            setClass(element, tone ? `${usual} tone-${tone}`.trim() : usual);
        },
    };
}
