// Looks at the portal as people do: a real browser, the real server, its policy enforced.
//
//   node look.mjs '{"link": "https://…/in/…", "pages": [{"name": "queue", "path": "/queue"}, …],
//                   "answer": {"path": "/i/…/INC-7"}, "shots": "DIR"}'
//
// The order may stand in a file, whose name is given then. It logs in by the link, answers one incident by the page's forms, then looks at every page in every view. One JSON
// document comes out: what it did and saw, and every fault by name. It judges nothing itself except by axe; the
// test that started it does. Nothing is loaded from anywhere but the server.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const order = JSON.parse(process.argv[2].startsWith('{') ? process.argv[2] : readFileSync(process.argv[2], 'utf8'));
const require = createRequire(order.modules ? `${order.modules}/` : import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const origin = new URL(order.link).origin;

const views = [
  { name: 'wide', width: 1280, height: 900 },
  { name: 'phone', width: 390, height: 844, isMobile: true, hasTouch: true },
  { name: 'narrow', width: 320, height: 640, isMobile: true, hasTouch: true },
  { name: 'dark', width: 1280, height: 900, colorScheme: 'dark' },
  { name: 'without script', width: 1280, height: 900, javaScriptEnabled: false },
];

const seen = { steps: [], looks: [], control: null };
const faults = [];

const browser = await chromium.launch({
  executablePath: order.chromium ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--ignore-certificate-errors'],
});

// A context in one view, with an ear on everything that a person would not see and should not be.
const open = async ({ name, width, height, ...more }, state) => {
  const context = await browser.newContext({
    viewport: { width, height }, ignoreHTTPSErrors: true, storageState: state, serviceWorkers: 'block', ...more,
  });
  await context.addInitScript(() => addEventListener('securitypolicyviolation', (event) => {
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
  }));
  const page = await context.newPage();
  const weight = {};
  let expected = [];
  page.on('console', (said) => {
    // The browser repeats a refusal that a step asked for.
    const isExpected = expected.some((status) => said.text().includes(`status of ${status}`));
    if (['error', 'warning'].includes(said.type()) && !isExpected) faults.push({ name, console: said.text(), at: page.url() });
  });
  page.on('dialog', (dialog) => { faults.push({ name, dialog: dialog.message(), at: page.url() }); dialog.dismiss(); });
  page.on('pageerror', (error) => faults.push({ name, error: String(error), at: page.url() }));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) faults.push({ name, foreign: request.url() });
  });
  page.on('response', async (answer) => {
    // A stream has no end, and no weight of its own.
    if (answer.request().method() !== 'GET' || new URL(answer.url()).pathname === '/events') return;
    const body = await answer.body().catch(() => Buffer.alloc(0));
    weight[new URL(answer.url()).pathname] = gzipSync(body, { level: 6 }).length;
  });
  return { context, page, weight, expect: (...statuses) => { expected = statuses; } };
};

const step = async (what, work) => {
  try {
    await work();
    seen.steps.push(what);
  } catch (error) {
    faults.push({ step: what, error: String(error).slice(0, 2000) });
    throw error;
  }
};

const must = (holds, why) => { if (!holds) throw new Error(why); };

const judged = (page) => page.evaluate(async (source) => {
  if (!window.axe) (0, eval)(source);
  const { violations } = await window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  });
  return violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html.slice(0, 200)) }));
}, axe);

// Tab after tab: what can be reached must be seen to have the focus, and the walk must reach all of it.
const walked = async (page) => {
  await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
  const wanted = await page.evaluate(() => [...document.querySelectorAll('a[href], button, select, summary, textarea, input:not([type=hidden]), [tabindex="0"]')]
    .filter((one) => one.checkVisibility()).length);
  const unseen = [];
  let reached = 0;
  // A field for a date and a time takes a press for each of its parts.
  for (let press = 0; press < wanted * 9 && reached < wanted; press++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const one = document.activeElement;
      if (!one || one === document.body || one.dataset.walked) return null;
      one.dataset.walked = '1';
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      return { what: one.outerHTML.slice(0, 90), isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
    });
    if (!at) continue;
    reached += 1;
    if (!at.isSeen) unseen.push(at.what);
  }
  return { wanted, reached, unseen };
};

// On paper: how many pages, and whether anything is cut. A4 between its margins is 695 CSS pixels wide.
const printed = async (page) => {
  // As it is found: nobody opens the details of a sheet of paper.
  await page.reload({ waitUntil: 'load' });
  const pdf = await page.pdf({ preferCSSPageSize: true });
  const pages = (pdf.toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g) ?? []).length;
  const size = page.viewportSize();
  await page.setViewportSize({ width: 695, height: 1000 });
  await page.emulateMedia({ media: 'print' });
  const cut = await page.evaluate(() => {
    const seen = (one) => one.checkVisibility() && one.getClientRects().length;
    const wide = [...document.querySelectorAll('main *')].filter((one) => seen(one) && one.getBoundingClientRect().right > 696 && !one.closest('svg'));
    const torn = [...document.querySelectorAll('main tr, main li, main dl > div')].filter((one) => seen(one) && getComputedStyle(one).breakInside !== 'avoid');
    return [...wide.map((one) => `wide: ${one.outerHTML.slice(0, 90)}`), ...torn.map((one) => `torn: ${one.outerHTML.slice(0, 90)}`)].slice(0, 5);
  });
  // Not 'screen': that would hold for the next sheet too.
  await page.emulateMedia({ media: null });
  await page.setViewportSize(size);
  return { pages, cut };
};

const run = async () => {
  const first = await open(views[0]);
  const { page } = first;
  await step('logs in by the link', async () => {
    await page.goto(order.link);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL(`${origin}/queue`);
  });
  const state = await first.context.storageState();

  if (order.answer) {
    const incident = `${origin}${order.answer.path}`;
    await step('acknowledges from the queue', async () => {
      await page.goto(`${origin}/queue`);
      await page.locator(`form[action="${order.answer.path}/acknowledge"] button`).click();
      await page.waitForURL(incident);
      must(!(await page.getByRole('button', { name: 'Acknowledge' }).count()), 'it can be acknowledged again');
    });
    await step('is refused a call with nobody, in words, and keeps what was typed', async () => {
      first.expect(409);
      const form = page.locator('form[action$="/respond"]');
      await form.getByLabel('Manner').selectOption('phone');
      await form.getByLabel('Note').fill('no answer at the gate');
      await form.getByRole('button', { name: 'Record a response' }).click();
      const said = await page.getByRole('alert').textContent();
      must(/Nothing was recorded/.test(said), said);
      must(await form.getByLabel('Manner').inputValue() === 'phone', 'the manner is lost');
      must(await form.getByLabel('Note').inputValue() === 'no answer at the gate', 'the note is lost');
      const violations = await judged(page);
      if (violations.length) faults.push({ name: 'refused', violations });
      if (order.shots) await page.screenshot({ path: `${order.shots}/refused-wide.png`, fullPage: true });
    });
    await step('records a call with somebody', async () => {
      await page.getByLabel('With whom, for a call').fill('plant manager <b>of the day</b>');
      await page.getByRole('button', { name: 'Record a response' }).click();
      await page.waitForURL(incident);
      first.expect();
      must(await page.getByText('with plant manager <b>of the day</b>').count() > 0, 'the call is not on the page');
    });
    await step('pauses without a note in vain, then with one, and ends the pause', async () => {
      const form = page.locator('#do-pause');
      await form.locator('summary').click();
      await form.getByLabel('What it waits for').fill('   ');
      first.expect(409);
      await form.getByRole('button', { name: 'Pause' }).click();
      must(/Nothing was recorded/.test(await page.getByRole('alert').textContent()), 'a pause without a word was taken');
      must(await form.getAttribute('open') !== null, 'the form is shut');
      await form.getByLabel('What it waits for').fill('the gate is shut <i>until noon</i>');
      await form.getByRole('button', { name: 'Pause' }).click();
      await page.waitForURL(incident);
      first.expect();
      must(await page.getByText('the gate is shut <i>until noon</i>').count() > 0, 'the pause is not on the page');
      await page.locator('#do-resume > summary').click();
      await page.locator('#do-resume').getByRole('button', { name: 'End the pause' }).click();
      await page.waitForURL(incident);
      must(await page.locator('#do-pause').count() === 1, 'it cannot be paused again');
    });
    await step('reports a problem in one field', async () => {
      await page.getByRole('link', { name: 'Report a problem' }).click();
      await page.waitForURL(`${origin}/report`);
      await page.getByLabel('What is wrong').fill('the door <script>of the plant</script> is open');
      await page.getByRole('button', { name: 'Report it' }).click();
      await page.waitForURL(/\/i\//);
      must(/the door <script>of the plant<\/script> is open/.test(await page.locator('h1').textContent()), 'it is not in the title');
      await page.goto(incident);
    });
    await step('records a response of the API once under one key', async () => {
      const send = async (key, data) => {
        const answer = await first.context.request.post(`${origin}/api/v1${order.answer.path.replace('/i/', '/incidents/')}/responses`, {
          headers: { origin, 'idempotency-key': key }, data,
        });
        const body = await answer.json();
        return { status: answer.status(), code: body.code, count: body.timeline?.filter(({ what }) => what === 'responded').length };
      };
      const once = await send('browser-1', { manner: 'remote' });
      const again = await send('browser-1', { manner: 'remote' });
      const other = await send('browser-1', { manner: 'remote', note: 'another' });
      const fresh = await send('browser-2', { manner: 'remote' });
      const said = JSON.stringify({ once, again, other, fresh });
      must(once.status === 201 && again.status === 201 && again.count === once.count, said);
      must(other.status === 422 && other.code === 'idempotency-key-reused', said);
      must(fresh.status === 201 && fresh.count === once.count + 1, said);
    });
    await step('keeps what is open and typed while the page reads itself again', async () => {
      await page.locator('#why-terms > summary').click();
      await page.evaluate(() => document.activeElement.blur());
      await page.evaluate(() => { document.getElementById('main').dataset.before = document.getElementById('live').textContent; });
      await page.waitForFunction(() => document.getElementById('live').textContent !== document.getElementById('main').dataset.before, null, { timeout: 25000 });
      must(await page.locator('#why-terms').getAttribute('open') !== null, 'the details are closed');
    });
  }
  if (order.posts) {
    await step('writes what it was given', async () => {
      seen.posted = [];
      for (const { path, data } of order.posts) {
        seen.posted.push((await first.context.request.post(`${origin}${path}`, { headers: { origin }, data })).status());
      }
    });
  }
  if (order.texts) {
    await step('reads what the pages and the API say at one instant', async () => {
      seen.texts = {};
      for (const path of order.texts) seen.texts[path] = await (await first.context.request.get(`${origin}${path}`)).text();
    });
  }
  if (order.live) {
    await step('is told of a change by the stream, and says when the line is down', async () => {
      await page.goto(`${origin}/queue`);
      await page.waitForFunction(() => document.getElementById('live-word').textContent === 'Live,');
      await page.evaluate(() => { document.getElementById('rows').dataset.mine = 'kept'; });
      const row = page.locator(`#r-${order.live.replace('/i/', '').replace('/', '-')}`);
      const before = await row.getAttribute('data-v');
      const took = await first.context.request.post(`${origin}/api/v1${order.live.replace('/i/', '/incidents/')}/take`, { headers: { origin }, data: {} });
      must(took.ok(), `${took.status()} ${await took.text()}`);
      await page.waitForFunction(([id, was]) => document.getElementById(id).dataset.v !== was,
        [`r-${order.live.replace('/i/', '').replace('/', '-')}`, before], { timeout: 25000 });
      must(await page.evaluate(() => document.getElementById('rows').dataset.mine) === 'kept', 'the page was read again');
      must(!(await row.getByRole('button', { name: 'Acknowledge' }).count()), 'the row is the old one');
      await page.getByRole('button', { name: 'Pause updates' }).click();
      must(/^Updates paused/.test(await page.locator('#live').innerText()), 'the pause is not said');
      // What is cut off here is the next connection; one that stands would go on.
      await first.context.setOffline(true);
      await page.getByRole('button', { name: 'Resume updates' }).click();
      await page.waitForFunction(() => /Not live/.test(document.getElementById('live').textContent), null, { timeout: 60000 });
      if (order.shots) await page.screenshot({ path: `${order.shots}/stale-wide.png`, fullPage: true });
      await first.context.setOffline(false);
      await page.waitForFunction(() => /^Live/.test(document.getElementById('live').textContent.trim()), null, { timeout: 60000 });
      // The browser repeats that its stream broke.
      faults.splice(0, faults.length, ...faults.filter(({ console: said }) => !/ERR_INTERNET_DISCONNECTED|ERR_NETWORK/.test(said ?? '')));
    });
    await step('counts by the time of the server when the clock of the computer is three hours off', async () => {
      const other = await browser.newContext({ viewport: { width: 1280, height: 900 }, ignoreHTTPSErrors: true, storageState: state });
      await other.addInitScript(() => { const now = Date.now; Date.now = () => now() + 3 * 3600 * 1000; });
      const off = await other.newPage();
      await off.goto(`${origin}/queue`);
      await off.waitForFunction(() => /3:00:0[01] fast/.test(document.getElementById('skew').textContent));
      const [shown, drawn] = await off.evaluate(() => {
        const clock = document.querySelector('#rows [data-at]');
        const [h, m, s] = clock.textContent.replace('−', '').split(':').map(Number);
        return [h * 3600 + m * 60 + s, Math.abs(clock.dataset.left)];
      });
      must(Math.abs(shown - drawn) < 120, `${shown} of ${drawn}`);
      if (order.shots) await off.screenshot({ path: `${order.shots}/skew-wide.png` });
      await other.close();
    });
  }
  if (order.propose) {
    await step('takes one thing that a host proposes, by ticking it', async () => {
      const { context, page: own } = await open(views[0], state);
      await own.goto(`${origin}/agents`);
      await own.getByRole('link', { name: 'What hosts propose to watch' }).click();
      await own.waitForURL(`${origin}/proposals`);
      await own.getByRole('link', { name: order.propose.place }).click();
      await own.waitForURL(`${origin}/proposals/${order.propose.place}`);
      await own.getByRole('button', { name: 'Take what is ticked' }).click();
      must(/tick what is meant/.test(await own.getByRole('alert').textContent()), 'nothing ticked is not said');
      await own.getByRole('checkbox', { name: order.propose.item }).first().check();
      await own.getByRole('button', { name: 'Take what is ticked' }).click();
      must(/^Taken: /.test(await own.getByRole('status').textContent()), 'it was not taken');
      const answer = await context.request.get(`${origin}/proposals/${order.propose.place}/patch`);
      const patch = await answer.text();
      must(answer.status() === 200 && /^\+\+\+ b\/clients\//m.test(patch), patch);
      await context.close();
    });
  }
  if (order.invite) {
    await step('chooses a password by an invitation, logs out, and logs in by it to the page first asked for', async () => {
      const { context, page: own, expect } = await open(views[0]);
      const words = 'four words, <b>all</b> mine';
      await own.goto(order.invite);
      await own.getByLabel('New password').fill('too short');
      await own.getByLabel('The same again').fill('too short');
      await own.getByRole('button', { name: 'Choose it' }).click();
      must(own.url() === order.invite, 'a short password was sent');
      await own.getByLabel('New password').fill(words);
      await own.getByLabel('The same again').fill(words);
      await own.getByRole('button', { name: 'Choose it' }).click();
      await own.waitForURL(`${origin}/queue`);
      await own.getByRole('button', { name: 'Log out' }).click();
      await own.waitForURL(`${origin}/login`);
      await own.goto(`${origin}/agents?x=1&y=2`);
      must(new URL(own.url()).pathname === '/login', own.url());
      expect(403);
      await own.getByLabel('Log-in name').fill('Tess@Example.NET');
      await own.getByLabel('Password').fill('some other words');
      await own.getByRole('button', { name: 'Log in' }).click();
      must(/Not logged in/.test(await own.getByRole('alert').textContent()), 'a wrong password is not said');
      const violations = await judged(own);
      if (violations.length) faults.push({ name: 'log-in refused', violations });
      if (order.shots) await own.screenshot({ path: `${order.shots}/login-refused-wide.png`, fullPage: true });
      must(await own.getByLabel('Log-in name').inputValue() === 'Tess@Example.NET', 'the name is lost');
      expect();
      await own.getByLabel('Password').fill(words);
      await own.getByRole('button', { name: 'Log in' }).click();
      await own.waitForURL(`${origin}/agents?x=1&y=2`);
      // As from a mail: the browser keeps the session back until our own page asks again.
      await own.goto('about:blank');
      await own.evaluate((url) => { location.href = url; }, `${origin}/settings/account`);
      await own.waitForURL(`${origin}/settings/account`);
      await own.getByRole('heading', { name: 'Your account' }).waitFor();
      await context.close();
    });
  }
  await first.context.close();

  for (const view of views) {
    const { context, page, weight, expect } = await open(view, state);
    for (const { name, path, status } of order.pages) {
      if (status !== 200) expect(status);
      for (const key of Object.keys(weight)) delete weight[key];
      const answer = await page.goto(`${origin}${path}`, { waitUntil: 'load' });
      const look = { page: name, view: view.name, status: answer.status() };
      if (view.javaScriptEnabled !== false) {
        look.paint = await page.evaluate(() => new Promise((done) => {
          const seen = { lcp: 0, cls: 0 };
          new PerformanceObserver((list) => { for (const one of list.getEntries()) seen.lcp = Math.round(one.startTime); }).observe({ type: 'largest-contentful-paint', buffered: true });
          new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) seen.cls += one.value; }).observe({ type: 'layout-shift', buffered: true });
          setTimeout(() => done(seen), 300);
        }));
      }
      look.sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (view.javaScriptEnabled !== false) {
        await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
        look.sideways_opened = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        look.violations = await judged(page);
      }
      if (view.javaScriptEnabled !== false) {
        look.small = await page.evaluate((isPhone) => [...document.querySelectorAll('a, button, select, summary, input:not([type=hidden])')]
          .filter((one) => one.checkVisibility() && !one.closest('p, li, dd, td .mute, pre') && !one.classList.contains('skip'))
          .map((one) => ({ what: one.outerHTML.slice(0, 90), height: one.getBoundingClientRect().height, width: one.getBoundingClientRect().width, isGo: one.matches('.go, .c-act a, .c-act button') }))
          .filter(({ height, width, isGo }) => height < (isPhone && isGo ? 44 : 24) || width < 24), Boolean(view.isMobile));
        if (view.name === 'wide') look.keys = await walked(page);
      }
      // What a text could have made of itself; our own pages have none of it inside their main part.
      look.injected = await page.evaluate(() => document.querySelectorAll('main script, main img, main iframe, main style, main object, [onerror], [onload], [onfocus], [onmouseover]').length);
      // Every place that one can go to is on the screen, without a wipe.
      look.away = await page.evaluate(() => [...document.querySelectorAll('.top nav a')]
        .map((one) => [one.textContent, one.getBoundingClientRect()])
        .filter(([, { left, right }]) => left < 0 || right > document.documentElement.clientWidth).map(([name]) => name));
      if (view.name === 'wide') look.print = await printed(page);
      look.text = (await page.locator('main').innerText()).length;
      look.weight = Object.values(weight).reduce((sum, bytes) => sum + bytes, 0);
      look.requests = Object.keys(weight).sort();
      seen.looks.push(look);
      if (order.shots) {
        await page.reload({ waitUntil: 'load' });
        await page.screenshot({ path: `${order.shots}/${name}-${view.name.replace(/ /g, '-')}.png`, fullPage: true });
        if (view.name === 'wide') await page.pdf({ path: `${order.shots}/${name}.pdf`, preferCSSPageSize: true });
      }
    }
    if (view.name === 'wide') {
      // What finds nothing must be seen to find something.
      await page.evaluate(() => {
        const image = document.createElement('img');
        image.src = '/icon.svg';
        document.getElementById('main').append(image);
        const text = document.createElement('p');
        text.textContent = 'pale';
        text.className = 'pale';
        text.style.setProperty('color', '#eee');
        document.getElementById('main').append(text);
      });
      seen.control = (await judged(page)).map(({ id }) => id);
    }
    await context.close();
  }
};

try {
  await run();
} catch (error) {
  if (!faults.length) faults.push({ error: String(error) });
} finally {
  await browser.close();
}
process.stdout.write(`${JSON.stringify({ seen, faults }, null, 1)}\n`);
