// SPDX-License-Identifier: MIT
// What makes the picture answer: details of what is pointed at, the tables as a tree, the search.
'use strict';
(() => {
    const CHUNK = 200; // entries of a table that are put into the tree at a time
    const RUN = 4; // so many entries alike become one row
    const LISTED = 60; // ranges of a block that are listed

    const byId = (id) => document.getElementById(id);
    const read = (id) => JSON.parse(byId(id).textContent);
    const dump = read('dump');
    const about = read('about');
    const { ranges, entries } = dump;
    const spans = about.spans.map(BigInt);
    const markers = about.markers.map(({ vaddr, name }) => ({ vaddr: BigInt(vaddr), name }));

    // ---- Numbers and words

    const hex = (value) => `0x${value.toString(16)}`;

    const sizeText = (size) => {
        const units = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];
        let unit = 0;
        let value = Number(size);
        for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
        return `${value < 100 ? Number(value.toFixed(1)) : Math.round(value)}${unit ? units[unit] : ' bytes'}`;
    };

    const kindOf = (flags) => {
        if (!flags) return '';
        if (flags.includes('w')) return flags.includes('x') ? 'rwx' : 'rw';
        if (flags.includes('x')) return 'rx';
        return flags.includes('r') ? 'r' : 'none';
    };

    const inWords = (flags) => {
        const words = { r: 'read', w: 'write', x: 'execute', u: 'user', g: 'global', A: 'accessed', D: 'dirty' };
        return [...flags].map((letter) => words[letter]).filter(Boolean).join(', ') || 'nothing allowed';
    };

    const memoryOf = (flags) => (flags.includes('d') ? 'device' : flags.includes('n') ? 'not cached' : 'normal');

    // The last of the indices below `count` for which it is true that at(index) <= value; -1 if there is none.
    const lastUpTo = (count, at, value) => {
        let low = 0;
        let high = count;
        while (low < high) {
            const middle = (low + high) >> 1;
            if (at(middle) <= value) low = middle + 1;
            else high = middle;
        }
        return low - 1;
    };

    const nameAt = (vaddr) => markers.filter((marker) => marker.vaddr === vaddr).map(({ name }) => name).join(', ');

    // ---- Ranges and entries

    const numbers = new Map(); // 64-bit numbers of ranges and entries, made when they are needed
    const number = (object, key) => {
        let known = numbers.get(object);
        if (!known) numbers.set(object, (known = {}));
        return (known[key] ??= BigInt(object[key]));
    };

    const rangeIndexUpTo = (vaddr) => lastUpTo(ranges.length, (i) => number(ranges[i], 'vaddr'), vaddr);
    const rangeAt = (vaddr) => {
        const range = ranges[rangeIndexUpTo(vaddr)];
        return range && vaddr - number(range, 'vaddr') < number(range, 'size') ? range : null;
    };

    // Entries stand in the order of a walk: what lies below entry i reaches up to end[i].
    const end = new Int32Array(entries.length);
    const parent = new Int32Array(entries.length).fill(-1);
    const open = [];
    entries.forEach((entry, i) => {
        while (open.length > 0 && entries[open[open.length - 1]].level >= entry.level) end[open.pop()] = i;
        if (open.length > 0) parent[i] = open[open.length - 1];
        open.push(i);
    });
    while (open.length > 0) end[open.pop()] = entries.length;

    const childrenOf = (i) => {
        const children = [];
        for (let at = i + 1; at < (i < 0 ? entries.length : end[i]); at = end[at]) children.push(at);
        return children;
    };

    const flagsOf = (i) =>
        entries[i].leaf ? (rangeAt(number(entries[i], 'vaddr')) || { flags: '' }).flags : entries[i].flags || '';

    const spanOf = (i) => {
        const range = entries[i].leaf && rangeAt(number(entries[i], 'vaddr'));
        return range ? number(range, 'page_size') : spans[entries[i].level];
    };

    // The deepest entry that translates an address; -1 if not even the root has one.
    const deepestAt = (vaddr) => {
        for (let deepest = -1; ; ) {
            const children = childrenOf(deepest);
            const at = children[lastUpTo(children.length, (j) => number(entries[children[j]], 'vaddr'), vaddr)];
            if (at === undefined || vaddr - number(entries[at], 'vaddr') >= spanOf(at)) return deepest;
            deepest = at;
        }
    };

    // ---- Elements

    const make = (tag, properties = {}, ...children) => {
        const element = document.createElement(tag);
        for (const [key, value] of Object.entries(properties)) {
            if (key in element) element[key] = value;
            else element.setAttribute(key, value);
        }
        element.append(...children);
        return element;
    };

    // ---- Details

    const details = byId('details');
    let kept = null; // shows again what was clicked last

    const show = (title, rows, ...more) => {
        const list = make('dl');
        for (const [name, value, words] of rows) {
            const cell = make('dd', {}, value);
            if (words) cell.append(' ', make('span', { className: 'in-words' }, words));
            list.append(make('dt', {}, name), cell);
        }
        details.replaceChildren(make('h3', {}, title), list, ...more);
    };

    const rightsRows = (flags) => [
        ['rights', flags.slice(0, 5), inWords(flags)],
        ['memory', memoryOf(flags)],
    ];

    const placeRows = (i) => {
        const entry = entries[i];
        const table = parent[i] < 0 ? dump.root : entries[parent[i]].paddr;
        return [
            ['level', `${entry.level}`, `of ${dump.levels}, 0 is the root`],
            ['index', `${entry.index}`, `of the table at ${table}`],
            ['raw entry', entry.bits],
        ];
    };

    const showEntry = (i) => {
        const entry = entries[i];
        const vaddr = number(entry, 'vaddr');
        const span = spanOf(i);
        const flags = flagsOf(i);
        const rows = [
            ['address', hex(vaddr), `to ${hex(vaddr + span - 1n)}`],
            ['size', sizeText(span)],
        ];
        if (entry.leaf) rows.push(['frame', entry.paddr], ...rightsRows(flags));
        else if (entry.paddr) rows.push(['table at', entry.paddr], ['leaves', flags.slice(0, 4), inWords(flags)]);
        else rows.push(['leads', 'nowhere', 'the MMU faults']);
        show(nameAt(vaddr) || (entry.leaf ? 'Page' : entry.paddr ? 'Table' : 'Malformed entry'), [...rows, ...placeRows(i)]);
    };

    const showRange = (range, title) => {
        const vaddr = number(range, 'vaddr');
        const size = number(range, 'size');
        const first = deepestAt(vaddr);
        show(title || nameAt(vaddr) || 'Range', [
            ['address', hex(vaddr), `to ${hex(vaddr + size - 1n)}`],
            ['size', sizeText(size), `${(size + number(range, 'page_size') - 1n) / number(range, 'page_size')} × ${sizeText(number(range, 'page_size'))}`],
            ['frame', range.paddr],
            ...rightsRows(range.flags),
            ...(first < 0 ? [] : placeRows(first)),
        ]);
    };

    const showBlock = (block) => {
        const first = BigInt(block.dataset.first);
        const last = BigInt(block.dataset.last);
        if (block.dataset.ranges === '1') {
            // A marker may have cut the range: what is drawn is a part of it.
            const range = rangeAt(first);
            const part = { ...range, vaddr: hex(first), size: hex(last - first + 1n) };
            part.paddr = hex(number(range, 'paddr') + (first - number(range, 'vaddr')));
            showRange(part, nameAt(first));
            return;
        }
        const from = rangeIndexUpTo(first);
        const until = rangeIndexUpTo(last) + 1;
        const list = make('ul');
        for (const range of ranges.slice(from, Math.min(until, from + LISTED))) {
            const button = make('button', { type: 'button' }, `${range.vaddr} ${sizeText(number(range, 'size'))} ${range.flags}`);
            button.onclick = () => find(number(range, 'vaddr'));
            list.append(make('li', {}, button));
        }
        show(nameAt(first) || `${block.dataset.ranges} ranges`, [
            ['address', hex(first), `to ${hex(last)}`],
            ['size', sizeText(last - first + 1n)],
            ['ranges', block.dataset.ranges, until - from > LISTED ? `of these the first ${LISTED}:` : ''],
        ], list);
    };

    // What is pointed at is shown as long as it is; what was chosen comes back.
    const keep = (shown) => {
        kept = shown;
        shown();
    };

    // What scrolls by under a pointer at rest, when keys are pressed, is not pointed at.
    let byKeys = false;
    document.addEventListener('keydown', () => (byKeys = true), true);
    const whenPointed = (element, shown) => {
        element.addEventListener('pointermove', (event) => {
            if (!event.movementX && !event.movementY) return;
            byKeys = false;
            shown(event);
        });
        element.addEventListener('pointerleave', () => kept && !byKeys && kept());
    };

    // ---- The tree. A node is an entry, {i}, or a run of pages alike, {run: [i...]}.

    const tree = byId('tree');
    const lists = new WeakMap(); // of an element with role tree or group: its nodes, and how many of them are shown
    const nodes = new WeakMap(); // of an element with role treeitem

    const nodesOf = (children) => {
        const found = [];
        for (let at = 0; at < children.length; ) {
            let next = at + 1;
            const entry = entries[children[at]];
            if (entry.leaf) {
                const span = spanOf(children[at]);
                const flags = flagsOf(children[at]);
                const alike = (j) => {
                    const other = entries[children[j]];
                    const distance = BigInt(j - at) * span;
                    return other.leaf && number(other, 'vaddr') - number(entry, 'vaddr') === distance &&
                        number(other, 'paddr') - number(entry, 'paddr') === distance && flagsOf(children[j]) === flags;
                };
                while (next < children.length && alike(next)) next++;
            }
            if (next - at >= RUN) found.push({ run: children.slice(at, next) });
            else found.push(...children.slice(at, next).map((i) => ({ i })));
            at = next;
        }
        return found;
    };

    const below = (node) => (node.run ? node.run.map((i) => ({ i })) : nodesOf(childrenOf(node.i)));
    const canOpen = (node) => Boolean(node.run) || end[node.i] > node.i + 1;
    const firstOf = (node) => (node.run ? node.run[0] : node.i);

    const rowOf = (node) => {
        const i = firstOf(node);
        const entry = entries[i];
        const flags = flagsOf(i);
        const index = node.run ? `${entry.index}–${entries[node.run[node.run.length - 1]].index}` : `${entry.index}`;
        const size = `${node.run ? `${node.run.length} × ` : ''}${sizeText(spanOf(i))}`;
        const what = entry.leaf ? `${size} → ${entry.paddr}` : entry.paddr ? `table, ${size}` : 'malformed';
        const name = nameAt(number(entry, 'vaddr'));
        return make('div', { className: 'row' },
            make('span', { className: 'index' }, index),
            make('span', {}, entry.vaddr),
            make('span', { className: `kind ${entry.leaf ? kindOf(flags) : ''}` }, flags || '?'),
            make('span', { className: 'rest' }, name && entry.leaf ? `${what}  ${name}` : what));
    };

    const itemOf = (node) => {
        const item = make('li', { role: 'treeitem', tabIndex: -1 }, rowOf(node));
        item.setAttribute('aria-selected', 'false');
        if (canOpen(node)) item.setAttribute('aria-expanded', 'false');
        nodes.set(item, node);
        return item;
    };

    const moreItem = (list) => {
        const { nodes: all, shown } = lists.get(list);
        const item = make('li', { role: 'treeitem', tabIndex: -1, className: 'more-items' },
            make('div', { className: 'row' }, `${all.length - shown} more …`));
        return item;
    };

    const extend = (list, until) => {
        const state = lists.get(list);
        const wanted = Math.min(state.nodes.length, Math.max(until, state.shown));
        if (list.lastElementChild && !nodes.has(list.lastElementChild)) list.lastElementChild.remove();
        list.append(...state.nodes.slice(state.shown, wanted).map(itemOf));
        state.shown = wanted;
        if (wanted < state.nodes.length) list.append(moreItem(list));
    };

    const listOf = (list, all) => {
        lists.set(list, { nodes: all, shown: 0 });
        extend(list, CHUNK);
        return list;
    };

    const setOpen = (item, isOpen) => {
        if (!item.hasAttribute('aria-expanded')) return;
        item.setAttribute('aria-expanded', String(isOpen));
        let group = item.querySelector(':scope > [role=group]');
        if (isOpen && !group) {
            group = listOf(make('ul', { role: 'group' }), below(nodes.get(item)));
            item.append(group);
        }
        if (group) group.hidden = !isOpen;
    };

    const focusItem = (item) => {
        tree.querySelectorAll('[tabindex="0"]').forEach((other) => (other.tabIndex = -1));
        item.tabIndex = 0;
        item.focus({ preventScroll: true });
        item.firstElementChild.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    };

    const mark = (item) => {
        tree.querySelectorAll('[aria-selected=true]').forEach((other) => other.setAttribute('aria-selected', 'false'));
        if (item) item.setAttribute('aria-selected', 'true');
    };

    const choose = (item) => {
        const node = nodes.get(item);
        mark(item);
        keep(() => showEntry(firstOf(node)));
        markBlock(number(entries[firstOf(node)], 'vaddr'), entries[firstOf(node)].leaf);
    };

    const showMore = (item) => {
        const list = item.parentElement;
        const { shown } = lists.get(list);
        extend(list, shown + CHUNK);
        focusItem(list.children[shown]);
    };

    // Open what lies above an entry, and show it.
    const reveal = (i) => {
        const path = [];
        for (let at = i; at >= 0; at = parent[at]) path.unshift(at);
        let list = tree;
        let item = null;
        for (let step = 0; step < path.length; ) {
            const { nodes: all } = lists.get(list);
            const at = all.findIndex((node) => node.i === path[step] || (node.run && node.run.includes(path[step])));
            if (at + 1 > lists.get(list).shown) extend(list, at + CHUNK);
            item = list.children[at];
            if (all[at].run || step + 1 < path.length) {
                setOpen(item, true);
                list = item.querySelector(':scope > [role=group]');
            }
            if (!all[at].run) step++;
        }
        return item;
    };

    tree.addEventListener('click', (event) => {
        const item = event.target.closest('[role=treeitem]');
        if (!item) return;
        if (!nodes.has(item)) {
            showMore(item);
            return;
        }
        setOpen(item, item.getAttribute('aria-expanded') === 'false');
        choose(item);
        focusItem(item);
    });
    whenPointed(tree, (event) => {
        const item = event.target.closest('[role=treeitem]');
        if (item && nodes.has(item)) showEntry(firstOf(nodes.get(item)));
    });
    tree.addEventListener('keydown', (event) => {
        const item = event.target.closest('[role=treeitem]');
        if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
        const visible = [...tree.querySelectorAll('[role=treeitem]')].filter((other) => !other.parentElement.closest('[hidden]'));
        const at = visible.indexOf(item);
        const expanded = item.getAttribute('aria-expanded');
        const above = item.parentElement.closest('[role=treeitem]');
        let to = null;
        if (event.key === 'ArrowDown') to = visible[at + 1];
        else if (event.key === 'ArrowUp') to = visible[at - 1];
        else if (event.key === 'Home') to = visible[0];
        else if (event.key === 'End') to = visible[visible.length - 1];
        else if (event.key === 'ArrowRight' && expanded === 'true') to = visible[at + 1];
        else if (event.key === 'ArrowRight') setOpen(item, true);
        else if (event.key === 'ArrowLeft' && expanded === 'true') setOpen(item, false);
        else if (event.key === 'ArrowLeft') to = above;
        else if (event.key === 'Enter' || event.key === ' ') item.firstElementChild.click();
        else return;
        event.preventDefault();
        if (to) {
            focusItem(to);
            if (nodes.has(to)) showEntry(firstOf(nodes.get(to)));
        }
    });

    // ---- The picture

    const blocks = [...document.querySelectorAll('#picture .block')];
    const blockAt = (vaddr) => {
        const block = blocks[lastUpTo(blocks.length, (i) => BigInt(blocks[i].dataset.first), vaddr)];
        return block && vaddr <= BigInt(block.dataset.last) ? block : null;
    };

    const markBlock = (vaddr, isMapped) => {
        const block = isMapped ? blockAt(vaddr) : null;
        blocks.forEach((other) => other.classList.toggle('found', other === block));
        return block;
    };

    const chooseBlock = (block) => {
        const first = BigInt(block.dataset.first);
        markBlock(first, true);
        keep(() => showBlock(block));
        const item = reveal(deepestAt(first));
        if (!item) return;
        mark(item);
        item.firstElementChild.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    };

    const focusBlock = (block) => {
        blocks.forEach((other) => other.setAttribute('tabindex', other === block ? '0' : '-1'));
        block.focus();
    };

    blocks.forEach((block, at) => {
        const title = block.querySelector('title');
        block.setAttribute('role', 'button');
        block.setAttribute('aria-label', title.textContent);
        block.setAttribute('tabindex', at === 0 ? '0' : '-1');
        title.remove(); // its text would cover what the details say
        whenPointed(block, () => showBlock(block));
        block.addEventListener('focus', () => showBlock(block));
        block.addEventListener('click', () => chooseBlock(block));
        block.addEventListener('keydown', (event) => {
            const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: blocks.length - 1 }[event.key];
            if (event.key === 'Enter' || event.key === ' ') chooseBlock(block);
            else if (to === undefined) return;
            else if (blocks[to]) focusBlock(blocks[to]);
            event.preventDefault();
        });
    });

    // ---- The search

    const said = byId('said');
    const say = (text, isMissing) => {
        said.textContent = text;
        said.classList.toggle('missing', Boolean(isMissing));
    };

    const isAddress = (vaddr) => {
        const bits = BigInt(about.va_bits);
        if (about.sign_extended) return BigInt.asUintN(64, BigInt.asIntN(about.va_bits, vaddr)) === vaddr;
        return dump.upper ? vaddr >> bits === (1n << (64n - bits)) - 1n : vaddr >> bits === 0n;
    };

    const find = (vaddr) => {
        if (vaddr >= 1n << 64n || !isAddress(vaddr)) {
            say(`${hex(vaddr)} is no address that ${about.name} translates.`, true);
            markBlock(0n, false);
            mark(null);
            return;
        }
        const range = rangeAt(vaddr);
        const deepest = deepestAt(vaddr);
        const block = markBlock(vaddr, Boolean(range));
        const item = reveal(deepest);
        mark(item);
        if (item) {
            keep(() => showEntry(deepest));
            item.firstElementChild.scrollIntoView({ block: 'center', inline: 'nearest' });
        }
        if (block) block.scrollIntoView({ block: 'center' });
        if (range) {
            const offset = vaddr - number(range, 'vaddr');
            say(`${hex(vaddr)} is mapped: to ${hex(number(range, 'paddr') + offset)}, ${range.flags}, ` +
                `by a page of ${sizeText(number(range, 'page_size'))}.`);
            return;
        }
        const level = deepest < 0 ? 0 : entries[deepest].level + 1;
        if (deepest >= 0 && !entries[deepest].paddr) {
            say(`${hex(vaddr)} is not mapped: the entry of level ${level - 1} is malformed.`, true);
            return;
        }
        const table = deepest < 0 ? dump.root : entries[deepest].paddr;
        const inside = BigInt.asUintN(about.va_bits, vaddr) % (level > 0 ? spans[level - 1] : 1n << 64n);
        say(`${hex(vaddr)} is not mapped: entry ${inside / spans[level]} of the table at ${table}, level ${level}, leads nowhere.`, true);
    };

    const search = (text) => {
        const wanted = text.trim().toLowerCase();
        const digits = wanted.replace(/^0x/, '').replace(/[_`' ]/g, '');
        const named = markers.find(({ name }) => name.toLowerCase() === wanted);
        const near = markers.find(({ name }) => name.toLowerCase().includes(wanted));
        if (!wanted) say('');
        else if (named) find(named.vaddr);
        else if (/^[0-9a-f]+$/.test(digits)) find(BigInt(`0x${digits}`));
        else if (near) find(near.vaddr);
        else say(`“${text.trim()}” is neither an address in hexadecimal nor a name.`, true);
    };

    byId('search').addEventListener('submit', (event) => {
        event.preventDefault();
        search(byId('address').value);
    });
    document.addEventListener('keydown', (event) => {
        if (event.key !== '/' || event.target.matches('input')) return;
        event.preventDefault();
        byId('address').focus();
    });

    // ---- The head

    const mapped = ranges.reduce((sum, range) => sum + number(range, 'size'), 0n);
    const tables = entries.reduce((sum, entry) => sum + (entry.leaf || !entry.paddr ? 0 : 1), 1);
    document.title = `${about.source}: ${about.name}`;
    byId('title').textContent = `${about.name}`;
    byId('facts').textContent = `${about.source} · ${sizeText(mapped)} mapped in ${ranges.length} ranges · ` +
        `${tables} tables, ${entries.length} entries in use`;
    listOf(tree, nodesOf(childrenOf(-1)));
    if (tree.firstElementChild) {
        tree.firstElementChild.tabIndex = 0;
        if (tree.children.length === 1) setOpen(tree.firstElementChild, true);
    }
})();
