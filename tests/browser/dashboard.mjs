// The dashboard in a real browser, by clicks and keys. DASHBOARD: its address; TOKEN; KEPT: where
// the packages are, and where pictures go.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import path from 'node:path';

const kept = process.env.KEPT;
const require = createRequire(path.join(kept, 'package.json'));
const { chromium } = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const context = await browser.newContext({ viewport: { width: 1180, height: 900 } });
const page = await context.newPage();
const complaints = [];
page.on('console', (message) => {
  // A login that is refused is what is tested.
  if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
page.setDefaultTimeout(30_000);

const node = (name) => page.locator('#clusters .node').filter({ has: page.locator('h3 span:first-child', { hasText: new RegExp(`^${name}$`) }) });
const says = (locator, text) => locator.filter({ hasText: text }).waitFor();

async function logIn() {
  await page.goto(process.env.DASHBOARD);
  await page.locator('#login[open]').waitFor();
  await page.fill('#token', 'a guess');
  await page.click('#login-form button[type=submit]');
  await says(page.locator('#login-error'), 'this is not the token');
  await page.fill('#token', process.env.TOKEN);
  await page.keyboard.press('Enter');
  await page.locator('#login[open]').waitFor({ state: 'detached' }).catch(() => {});
  assert.equal(await page.locator('#login[open]').count(), 0);
  await says(page.locator('#state'), 'serving');
}

async function shows() {
  assert.equal(await page.locator('#clusters .node').count(), 3);
  await says(node('a').locator('.role'), 'primary');
  await says(node('b').locator('.role'), 'replica');
  // Traffic runs: lines are drawn to all three, and curves.
  await page.waitForFunction(() => document.querySelectorAll('.topology path:not(.off)').length >= 4);
  await page.waitForFunction(() => document.querySelector('.chart polyline').getAttribute('points').split(' ').length >= 3);
  await says(page.locator('#shapes td.shape').first(), /select|update/i);
  await says(page.locator('#pools tbody tr').first(), 'postgres');
}

async function drains() {
  await node('b').getByRole('button', { name: 'Drain: test.b', exact: true }).click();
  await says(page.locator('#confirm-command'), 'DRAIN test.b');
  await page.click('#confirm-no');
  await says(node('b').locator('.role'), 'replica');
  await node('b').getByRole('button', { name: 'Drain: test.b', exact: true }).click();
  await page.click('#confirm-yes');
  await says(node('b').locator('.role'), 'drained');
  await says(page.locator('#events li').first(), 'DRAIN test.b');
  // The same by keys alone.
  await node('b').getByRole('button', { name: 'Undrain: test.b' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('#confirm[open]').waitFor();
  await page.locator('#confirm-yes').focus();
  await page.keyboard.press('Enter');
  await says(node('b').locator('.role'), 'replica');
}

async function switchesOver() {
  await node('c').getByRole('button', { name: 'Make primary: test.c' }).click();
  await says(page.locator('#confirm-command'), 'SWITCHOVER "test" TO "c"');
  await page.click('#confirm-yes');
  await says(node('c').locator('.role'), 'primary');
  await says(page.locator('#clusters h2'), 'term 2');
}

async function pauses() {
  await page.getByRole('button', { name: 'Pause: test' }).click();
  await page.click('#confirm-yes');
  await says(page.locator('#clusters h2'), 'paused');
  await page.getByRole('button', { name: 'Resume: test' }).click();
  await page.click('#confirm-yes');
  await page.waitForFunction(() => !document.querySelector('#clusters h2').textContent.includes('paused'));
}

async function backsUp() {
  const card = page.locator('#archives li[data-backups="test"]');
  await says(card, 'no backup');
  await card.getByRole('button', { name: 'Back up now: test' }).click();
  await says(page.locator('#confirm-command'), 'BACKUP "test"');
  await page.click('#confirm-yes');
  await says(card, /newest backup .* old/);
  await says(page.locator('#backup-table tbody tr').first(), /^test\d{8}T\d{6}Z/);
}

/** The primary is lost, by an operator's word; its agent brings it back at a click. */
async function rejoins() {
  assert.equal(await page.getByRole('button', { name: /^Rejoin/ }).count(), 0);
  const lost = await page.evaluate(async () => {
    const answer = await fetch('api/v1/command', { method: 'POST',
      headers: { 'content-type': 'application/json', 'x-tidegate': 'test' },
      body: JSON.stringify({ command: 'FAILOVER "test" TO "b" FORCE' }) });
    return answer.status;
  });
  assert.equal(lost, 200);
  await says(node('b').locator('.role'), 'primary');
  await says(node('c').locator('.role'), /fenced|unknown/);
  await node('c').getByRole('button', { name: 'Rejoin: test.c' }).click();
  await says(page.locator('#confirm-command'), 'REJOIN test.c');
  await page.click('#confirm-yes');
  await says(node('c').locator('.role'), 'replica');
  await page.getByRole('button', { name: 'Rejoin: test.c' }).waitFor({ state: 'detached' });
}

/** Nothing serious for axe, and nothing wider than the screen. */
async function isAccessible(name) {
  await page.screenshot({ path: path.join(kept, `${name}.png`), fullPage: true });
  const wide = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the screen`);
  // The page's own policy lets no script of ours in as a tag.
  await page.evaluate(readFileSync(axe, 'utf8'));
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((v) => ['serious', 'critical'].includes(v.impact));
  assert.deepEqual(serious.map((v) => [v.id, v.nodes.map((n) => n.html)]), [], name);
  assert.ok(found.passes.length > 10, 'axe looked at next to nothing');
}

async function logsOut() {
  await page.click('#logout');
  await page.locator('#login[open]').waitFor();
}

try {
  await logIn();
  await shows();
  await isAccessible('light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await isAccessible('dark');
  await page.setViewportSize({ width: 375, height: 800 });
  await isAccessible('phone');
  await page.setViewportSize({ width: 1180, height: 900 });
  await drains();
  await pauses();
  await backsUp();
  await isAccessible('backups');
  await switchesOver();
  await rejoins();
  await logsOut();
  assert.deepEqual(complaints, []);
  console.log('ok');
} catch (error) {
  await page.screenshot({ path: path.join(kept, 'failed.png'), fullPage: true }).catch(() => {});
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
