// Counts clocks down between two readings of the page, and reads the page again every 10 s. Without script the page
// still shows what the server computed, its "as of" time, and reloads each minute.
(() => {
  const every = 10000, live = document.getElementById('live'), say = document.getElementById('say');
  let read = performance.now();
  const pad = (n) => String(n).padStart(2, '0');
  const said = (s) => {
    const a = Math.abs(s), h = Math.floor(a / 3600), m = Math.floor(a % 3600 / 60), sign = s < 0 ? '−' : '';
    return sign + (h < 10 ? h + ':' + pad(m) + ':' + pad(a % 60) : h + ' h ' + pad(m) + ' m');
  };
  const tick = () => {
    const gone = Math.floor((performance.now() - read) / 1000);
    for (const clock of document.querySelectorAll('[data-left][data-ticks="1"]')) {
      const left = Number(clock.dataset.left) - gone;
      clock.textContent = said(left);
      if (clock.dataset.name && [900, 300, 0].includes(left)) {
        say.textContent = clock.dataset.name + (left ? ': ' + left / 60 + ' minutes left' : ': overdue');
      }
    }
  };
  const stale = () => {
    const since = live.querySelector('time').textContent;
    live.classList.add('stale');
    document.getElementById('live-word').textContent = 'Not live, values are from';
    live.title = 'Last read ' + since;
  };
  const typed = (field) => field.type !== 'hidden' && (field.options
    ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((option) => option.defaultSelected))
    : field.value !== field.defaultValue);
  const refresh = async () => {
    const main = document.getElementById('main');
    // Never under somebody's fingers, never over what was typed or refused, and not for a page that nobody sees.
    if (document.hidden || main.contains(document.activeElement) || document.getElementById('refused')
      || [...main.querySelectorAll('input, select, textarea')].some(typed)) return;
    try {
      const answer = await fetch(live.dataset.href || location.href, { cache: 'no-store' });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const open of main.querySelectorAll('details[open]')) page.getElementById(open.id)?.setAttribute('open', '');
      main.replaceChildren(...page.getElementById('main').childNodes);
      live.replaceChildren(...page.getElementById('live').childNodes);
      live.classList.remove('stale');
      document.getElementById('live-word').textContent = 'Live, as of';
      document.title = page.title;
      read = performance.now();
    } catch { stale(); }
  };
  tick();
  document.getElementById('live-word').textContent = 'Live, as of';
  setInterval(tick, 1000);
  setInterval(refresh, every);
})();
