// Counts clocks down and keeps the page current. Without script the page shows what the server computed, its "as of"
// time, and reloads each minute. Time is the server's: what it said, and what has passed since by a clock of the browser
// that nobody can set. The queue is told of each change by a stream; other pages read themselves again every 10 s.
(() => {
  const by = (id) => document.getElementById(id), live = by('live'), say = by('say'), main = by('main');
  if (!live) return;
  const began = performance.getEntriesByType('navigation')[0];
  let base = Number(live.dataset.now), at = began ? began.responseStart : performance.now();
  let heard = performance.now(), held = false;
  let source, tried = 0, last = live.dataset.since;
  const server = () => base + performance.now() - at;
  const sync = (now) => { base = now; at = heard = performance.now(); };

  const pad = (n) => String(n).padStart(2, '0');
  const said = (s) => {
    const a = Math.abs(s), h = Math.floor(a / 3600), m = Math.floor(a % 3600 / 60), sign = s < 0 ? '−' : '';
    return sign + (h < 10 ? h + ':' + pad(m) + ':' + pad(a % 60) : h + ' h ' + pad(m) + ' m');
  };
  const word = (text) => { if (by('live-word').textContent !== text) by('live-word').textContent = text; };
  const tick = () => {
    const now = Math.floor(server() / 1000), skew = Math.round((Date.now() - server()) / 1000);
    for (const clock of document.querySelectorAll('[data-at]')) {
      const left = clock.dataset.left - now + Number(clock.dataset.at);
      clock.textContent = said(left);
      if (clock.dataset.name && [900, 300, 0].includes(left)) {
        say.textContent = clock.dataset.name + (left ? ': ' + left / 60 + ' minutes left' : ': overdue');
      }
    }
    by('skew').textContent = Math.abs(skew) > 2
      ? 'This computer’s clock is ' + said(Math.abs(skew)) + (skew > 0 ? ' fast' : ' slow') + '; times here are the server’s.' : '';
    const old = !held && performance.now() - heard > 15000;
    // A browser gives a stream up for good after some answers (a store that did not answer, a proxy's page).
    if (old && source && performance.now() - tried > 5000) { source.close(); listen(); }
    live.classList.toggle('stale', old);
    word(held ? 'Updates paused,' : old ? 'Not live, values below are old:' : 'Live,');
  };

  // Reading the page again: never under somebody's fingers, never over what was typed or refused.
  const typed = (field) => field.type !== 'hidden' && (field.options
    ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected))
    : field.value !== field.defaultValue);
  const read = async () => {
    if (held || document.hidden || main.contains(document.activeElement) || by('refused') || !getSelection().isCollapsed
      || [...main.querySelectorAll('input, select, textarea')].some(typed)) return;
    try {
      const answer = await fetch(live.dataset.href || location.href, { cache: 'no-store' });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html'), fresh = page.getElementById('live');
      for (const open of main.querySelectorAll('details[open]')) page.getElementById(open.id)?.setAttribute('open', '');
      main.replaceChildren(...page.getElementById('main').childNodes);
      live.querySelector('time').replaceWith(fresh.querySelector('time'));
      document.title = page.title;
      sync(Number(fresh.dataset.now));
      tick();
    } catch { /* the next second says that the values are old */ }
  };

  // The stream of the queue: finished rows by name and version; only those that changed are swapped.
  let order = null;
  const waiting = {};
  const made = (html) => { const box = document.createElement('template'); box.innerHTML = html; return box.content.firstElementChild; };
  const swap = () => {
    const rows = by('rows'), busy = document.activeElement, isInside = rows.contains(busy);
    if (!order || !getSelection().isCollapsed) return;
    if (waiting.sum && !by('sum').contains(busy)) { by('sum').replaceWith(made(waiting.sum)); delete waiting.sum; }
    const have = new Map([...rows.children].map((row) => [row.id, row]));
    const next = order.map(([id, version]) => {
      let row = have.get(id);
      if (waiting[id] && (!row || row.dataset.v !== version) && !row?.contains(busy)) {
        const fresh = made(waiting[id]);
        delete waiting[id];
        if (!row && fresh.dataset.new) say.textContent = fresh.dataset.new;
        row?.replaceWith(fresh);
        row = fresh;
      }
      return row;
    }).filter(Boolean);
    // While somebody is in the table its rows keep their places.
    if (isInside) return;
    if (next.some((row, index) => rows.children[index] !== row) || next.length !== rows.children.length) rows.replaceChildren(...next);
    by('none').hidden = next.length > 0;
    by('some').hidden = !next.length;
    order = null;
  };
  const listen = () => {
    tried = performance.now();
    source = new EventSource(live.dataset.events + '&since=' + last);
    const took = (event) => {
      const told = JSON.parse(event.data), time = live.querySelector('time');
      sync(told.now);
      time.textContent = told.said;
      time.dateTime = told.exact;
      return told;
    };
    source.addEventListener('tick', (event) => { took(event); swap(); });
    source.addEventListener('rows', (event) => {
      const told = took(event);
      last = event.lastEventId;
      order = told.order;
      Object.assign(waiting, told.html);
      document.title = told.title + ' · Upheld';
      swap();
      tick();
    });
  };
  if (live.dataset.events) {
    listen();
    main.addEventListener('focusout', () => setTimeout(swap));
  } else setInterval(read, 10000);
  by('hold')?.addEventListener('click', ({ currentTarget }) => {
    held = !held;
    currentTarget.setAttribute('aria-pressed', held);
    currentTarget.textContent = held ? 'Resume updates' : 'Pause updates';
    heard = performance.now();
    if (live.dataset.events) { if (held) source.close(); else listen(); }
    tick();
  });
  tick();
  setInterval(tick, 1000);
})();
