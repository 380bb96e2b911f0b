// Looks at the portal as people do: a real browser, the real server, its policy enforced.
//
//   node look.mjs '{"link": "https://…/in/…", "pages": [{"name": "queue", "path": "/queue"}, …],
//                   "answer": {"path": "/i/…/INC-7"}, "shots": "DIR"}'
//
// It logs in by the link, answers one incident by the page's forms, then looks at every page in every view. One JSON
// document comes out: what it did and saw, and every fault by name. It judges nothing itself except by axe; the
// test that started it does. Nothing is loaded from anywhere but the server.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const order = JSON.parse(process.argv[2]);
const require = createRequire(order.modules ? `${order.modules}/` : import.meta.url);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const origin = new URL(order.link).origin;

const views = [
  { name: 'wide', width: 1280, height: 900 },
  { name: 'phone', width: 360, height: 740, isMobile: true, hasTouch: true },
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
  page.on('pageerror', (error) => faults.push({ name, error: String(error), at: page.url() }));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) faults.push({ name, foreign: request.url() });
  });
  page.on('response', async (answer) => {
    if (answer.request().method() !== 'GET') return;
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
  await first.context.close();

  for (const view of views) {
    const { context, page, weight, expect } = await open(view, state);
    for (const { name, path, status } of order.pages) {
      if (status !== 200) expect(status);
      for (const key of Object.keys(weight)) delete weight[key];
      const answer = await page.goto(`${origin}${path}`, { waitUntil: 'networkidle' });
      const look = { page: name, view: view.name, status: answer.status() };
      look.sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (view.javaScriptEnabled !== false) {
        await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
        look.sideways_opened = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        look.violations = await judged(page);
      }
      look.text = (await page.locator('main').innerText()).length;
      look.weight = Object.values(weight).reduce((sum, bytes) => sum + bytes, 0);
      look.requests = Object.keys(weight).sort();
      seen.looks.push(look);
      if (order.shots) {
        await page.reload({ waitUntil: 'networkidle' });
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
