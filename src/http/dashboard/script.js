// The dashboard: draws what /api/v1/live sends. Nothing is drawn from text that came as markup.
'use strict';

const $ = (id) => document.getElementById(id);
const KEPT = 300; // samples that are drawn
let samples = [];
let overview = null;
let source = null;

/** An element with attributes and children; texts stay texts. */
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}
function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') element.addEventListener('click', value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const number = (n) => n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)} k`
  : n >= 100 ? n.toFixed(0) : n >= 10 || Number.isInteger(n) ? String(Math.round(n * 10) / 10) : n.toFixed(1);
function time(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// --- one cluster -------------------------------------------------------------------------------

function latest(name) {
  const last = samples.at(-1);
  return last ? last.clusters.find((of) => of.cluster === name) : undefined;
}

function topology(cluster) {
  const now = latest(cluster.name);
  const nodes = cluster.nodes;
  const height = Math.max(nodes.length * 46, 60), middle = height / 2;
  const rates = nodes.map((node) => {
    const of = now && now.nodes.find((n) => n.node === node.name);
    return of ? of.reads + of.writes : 0;
  });
  const most = Math.max(1, ...rates);
  const words = nodes.map((node, at) => `${node.name}: ${node.role}, ${number(rates[at])} a second`);
  const picture = draw('svg', { class: 'topology', viewBox: `0 0 640 ${height}`, role: 'img',
    'aria-label': `Topology of ${cluster.name}. ${words.join('. ')}.` });
  const box = (x, width, y, kind, title, below) => picture.append(
    draw('rect', { x, y: y - 17, width, height: 34, rx: 6, class: kind }),
    draw('text', { x: x + width / 2, y: y - 2, 'text-anchor': 'middle' }, title),
    draw('text', { x: x + width / 2, y: y + 12, 'text-anchor': 'middle', class: 'small' }, below));
  picture.append(draw('path', { d: `M130 ${middle} L240 ${middle}`, 'stroke-width': 3 }));
  box(10, 120, middle, '', 'applications', `${overview.clients} clients`);
  nodes.forEach((node, at) => {
    const y = 23 + at * 46 + (height - nodes.length * 46) / 2;
    const busy = rates[at] > 0;
    picture.append(draw('path', { d: `M350 ${middle} C400 ${middle} 390 ${y} 440 ${y}`,
      class: busy ? '' : 'off', 'stroke-width': busy ? 1 + 5 * rates[at] / most : 1 }));
    box(440, 190, y, node.role, `${node.name} · ${node.role}`, `${number(rates[at])}/s · ${late(node)}`);
  });
  box(240, 110, middle, '', 'tidegate', now ? `${number(now.transactions)} tx/s` : '');
  return picture;
}

function late(node) {
  if (node.role === 'primary') return 'writes';
  return node.staleness_seconds === null ? 'unknown' : `${time(node.staleness_seconds)} old`;
}

function nodeCard(cluster, node) {
  const reads = overview.may_command;
  const drained = node.reason === 'drained by an operator';
  const name = `${cluster.name}.${node.name}`;
  const reign = overview.reigns.find((of) => of.cluster === cluster.name);
  const buttons = [];
  if (reads && node.role === 'replica') {
    buttons.push(drained
      ? button('Undrain', name, `UNDRAIN ${name}`, `Reads go to ${name} again.`)
      : button('Drain', name, `DRAIN ${name}`, `No new reads go to ${name}.`));
    if (reign) {
      buttons.push(button('Make primary', name, `SWITCHOVER "${cluster.name}" TO "${node.name}"`,
        `${node.name} becomes the primary; writes wait for a moment.`));
    }
  }
  if (reads && reign?.phase === 'active' && reign.deposed.includes(node.name) && reign.agents.includes(node.name)) {
    buttons.push(button('Rejoin', name, `REJOIN ${name}`,
      `${node.name} is made a standby of ${reign.primary} by its agent. What it has and others do not is kept beside the new data.`));
  }
  const slow = node.role === 'replica' && node.staleness_seconds > 1;
  return make('li', { class: `node ${node.role}` },
    make('h3', {}, make('span', {}, node.name), make('span', { class: 'role' }, drained ? 'drained' : node.role)),
    make('p', {}, node.address),
    make('p', { class: slow ? 'late' : null }, node.role === 'replica' ? `${late(node)}` : node.position || ''),
    node.reason ? make('p', {}, node.reason) : null,
    make('p', {}, `${number(node.served_reads)} reads, ${number(node.served_writes)} writes`),
    buttons.length ? make('div', { class: 'buttons' }, ...buttons) : null);
}

function button(label, what, command, text) {
  return make('button', { type: 'button', 'data-command': command, 'aria-label': `${label}: ${what}`,
    onclick: () => confirm(command, text) }, label);
}

function charts(cluster) {
  const of = (pick) => samples.map((sample) => {
    const found = sample.clusters.find((c) => c.cluster === cluster.name);
    return found ? pick(found) : null;
  });
  const replicas = cluster.nodes.filter((node) => node.role === 'replica').slice(0, 4);
  const age = (name) => of((c) => {
    const node = c.nodes.find((n) => n.node === name);
    return node ? node.staleness_seconds : null;
  });
  return make('div', { class: 'charts' },
    chart('Transactions a second', number, [['transactions', of((c) => c.transactions)], ['queries', of((c) => c.queries)]]),
    chart('Latency', time, [['p50', of((c) => c.p50_seconds)], ['p99', of((c) => c.p99_seconds)]]),
    chart('Staleness of replicas', time, replicas.map((node) => [node.name, age(node.name)])),
    chart('Waiting clients, errors a second', number, [['waiting', of((c) => c.clients_waiting)], ['errors', of((c) => c.errors)]]));
}

function chart(title, unit, series) {
  const known = series.flatMap(([, values]) => values).filter((value) => value !== null);
  const top = Math.max(...known, 0) || 1;
  const width = Math.max(60, samples.length);
  const last = (values) => values.findLast((value) => value !== null);
  const said = series.map(([name, values]) => `${name} ${unit(last(values) ?? 0)}`);
  const picture = draw('svg', { viewBox: `0 0 ${width} 100`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${title}: ${said.join(', ') || 'nothing yet'}; highest ${unit(top)}` });
  series.forEach(([, values], at) => {
    const points = values.map((value, n) => value === null ? null
      : `${width - values.length + n},${(98 - 95 * value / top).toFixed(1)}`);
    picture.append(draw('polyline', { class: `series${at}`, points: points.filter((p) => p !== null).join(' ') }));
  });
  const keys = series.map(([name, values], at) =>
    make('span', { class: `key${at}` }, `${at ? ' · ' : ''}${name} ${unit(last(values) ?? 0)}`));
  return make('div', { class: 'chart' }, make('h3', {}, title), picture,
    make('p', {}, ...keys, `${series.length ? ' · ' : ''}top ${unit(top)}`));
}

function clusterSection(cluster) {
  const title = `cluster-${cluster.name}`;
  const reign = overview.reigns.find((of) => of.cluster === cluster.name);
  const paused = cluster.paused
    ? button('Resume', cluster.name, `RESUME "${cluster.name}"`, `Transactions of ${cluster.name} go on.`)
    : button('Pause', cluster.name, `PAUSE "${cluster.name}"`, `New transactions of ${cluster.name} wait until it is resumed.`);
  return make('section', { 'aria-labelledby': title, 'data-cluster': cluster.name },
    make('h2', { id: title }, `${cluster.name} (${cluster.engine})${reign ? `, term ${reign.term}` : ''}`
      + `${cluster.paused ? ', paused' : ''}`),
    cluster.primary ? null : make('p', { class: 'headless' }, 'No node takes writes.'),
    topology(cluster),
    make('ul', { class: 'nodes' }, ...cluster.nodes.map((node) => nodeCard(cluster, node))),
    overview.may_command ? make('div', { class: 'buttons' }, paused) : null,
    charts(cluster));
}

// --- the rest ----------------------------------------------------------------------------------

function table(element, columns, rows) {
  const head = make('tr', {}, ...columns.map(([name, kind]) => make('th', { scope: 'col', class: kind }, name)));
  const body = rows.map((row) => make('tr', {}, ...row.map((cell, at) => make('td', { class: columns[at][1] }, cell))));
  element.replaceChildren(make('thead', {}, head), make('tbody', {}, ...body));
}

function drawPools() {
  const columns = [['cluster'], ['node'], ['database'], ['user'], ['active', 'number'], ['idle', 'number'],
    ['waiting', 'number'], ['longest wait', 'number'], ['size', 'number']];
  table($('pools'), columns, overview.pools.map((pool) => [pool.cluster, pool.node, pool.database, pool.user,
    String(pool.servers_active), String(pool.servers_idle + pool.servers_used), String(pool.clients_waiting),
    time(pool.longest_wait_seconds), String(pool.size)]));
}

function drawShapes() {
  const columns = [['statement', 'shape'], ['kind'], ['primary', 'number'], ['replicas', 'number'],
    ['mean', 'number'], ['p99', 'number']];
  table($('shapes'), columns, overview.shapes.map((shape) => [shape.shape, shape.kind, number(shape.primary),
    number(shape.replicas), time(shape.average_seconds), time(shape.p99_seconds)]));
}

const bytes = (n) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, n)) / 10)));
  return `${number(n / 1024 ** power)} ${units[power]}`;
};
const since = (at) => (Date.now() - Date.parse(at)) / 1000;

/** What a restore can rely on: the log up to where, how late, and what is wrong. */
function archiveCard(of) {
  const { archive, running, next } = of;
  const last = of.all[0];
  const late = !last || since(last.finished) > 26 * 3600;
  const holes = archive && archive.holes > 0;
  const lines = [
    [last ? `newest backup ${time(since(last.finished))} old` : 'no backup', late],
    running ? [`a backup is being taken: ${bytes(running.read)} of about ${bytes(running.total)}`, false] : null,
    of.testing_seconds != null ? [`the newest one has been tested for ${time(of.testing_seconds)}`, false] : null,
    of.test_trouble ? [`the last test restore failed: ${of.test_trouble}`, true] : null,
    of.late ? [of.late, true] : null,
    next ? [`next one ${next.replace('T', ' ').replace('Z', '')}`, false] : null,
    of.trouble ? [`the last attempt failed: ${of.trouble}`, true] : null,
    archive ? [`log archived until ${archive.until ?? 'nothing yet'}${archive.node ? `, from ${archive.node}` : ''}`, !archive.node] : ['the log is not archived', false],
    archive?.behind_bytes > 0 ? [`${bytes(archive.behind_bytes)} of log wait, since ${time(archive.waiting_seconds ?? 0)}`, archive.waiting_seconds > 900] : null,
    holes ? [`${archive.holes} times log was lost before it was archived`, true] : null,
    archive?.trouble ? [archive.trouble, true] : null,
  ];
  const command = overview.may_command && !running
    ? button('Back up now', of.cluster, `BACKUP "${of.cluster}"`, `A backup of ${of.cluster} is taken from the replica that it hurts least; this takes a while.`) : null;
  return make('li', { class: 'node', 'data-backups': of.cluster },
    make('h3', {}, make('span', {}, of.cluster), make('span', { class: 'role' }, `${number(of.taken)} taken, ${number(of.failures)} failed`)),
    ...lines.filter((line) => line).map(([text, bad]) => make('p', { class: bad ? 'late' : null }, text)),
    command ? make('div', { class: 'buttons' }, command) : null);
}

/** Such as "proven 2 h ago in 41 s". */
function tested(proof) {
  if (!proof) return 'never';
  const took = proof.recovered_seconds == null ? '' : ` in ${time(proof.recovered_seconds)}`;
  return proof.failure ? `failed ${time(since(proof.at))} ago` : `proven ${time(since(proof.at))} ago${took}`;
}

function drawBackups() {
  $('backups').hidden = overview.backups.length === 0;
  $('archives').replaceChildren(...overview.backups.map(archiveCard));
  const columns = [['cluster'], ['backup'], ['age', 'number'], ['node'], ['read', 'number'], ['stored', 'number'],
    ['took', 'number'], ['consistent at'], ['held'], ['test']];
  table($('backup-table'), columns, overview.backups.flatMap((of) => of.all.map((backup) => [of.cluster, backup.id,
    time(since(backup.finished)), backup.node, bytes(backup.read), bytes(backup.stored), time(backup.took_seconds),
    backup.end, backup.held ?? '', tested(backup.proof)])));
}

function drawEvents() {
  const lines = overview.events.slice().reverse().map((event) => make('li', {},
    make('time', { datetime: event.at }, event.at.replace('T', ' ').replace('Z', '')),
    `${event.cluster ? `${event.cluster}${event.node ? `.${event.node}` : ''}: ` : ''}${event.what}`));
  $('events').replaceChildren(...lines);
}

function drawAll() {
  const well = overview.missing.length === 0;
  $('state').textContent = `${overview.version}, up ${time(overview.uptime_seconds)}, ${overview.clients} clients on `
    + `${overview.servers} server connections, ${well ? 'serving' : overview.missing.join('; ')}`;
  // Whoever is about to press a button keeps it under the finger.
  const focused = document.activeElement?.dataset?.command;
  $('clusters').replaceChildren(...overview.clusters.map(clusterSection));
  drawPools();
  drawShapes();
  drawBackups();
  drawEvents();
  if (focused) document.querySelector(`[data-command="${CSS.escape(focused)}"]`)?.focus();
}

// --- live --------------------------------------------------------------------------------------

function connect() {
  source?.close();
  const after = samples.at(-1)?.number ?? 0;
  source = new EventSource(`api/v1/live?after=${after}`);
  source.onmessage = (message) => {
    const news = JSON.parse(message.data);
    // A proxy that was started anew counts from the beginning.
    if (news.samples.length && news.samples[0].number <= (samples.at(-1)?.number ?? 0)) samples = [];
    samples = samples.concat(news.samples).slice(-KEPT);
    overview = news.overview;
    $('problem').hidden = true;
    drawAll();
  };
  source.onerror = async () => {
    source.close();
    const answer = await fetch('api/v1/overview').catch(() => null);
    if (answer?.status === 401) {
      $('state').textContent = 'Log in to see this proxy.';
      loggedIn(false);
      openLogin();
      return;
    }
    $('problem').textContent = 'The proxy cannot be reached; trying again …';
    $('problem').hidden = false;
    setTimeout(connect, 2000);
  };
}

function loggedIn(yes) {
  $('login-open').hidden = yes;
  $('logout').hidden = !yes;
}

function openLogin() {
  $('login-error').textContent = '';
  if (!$('login').open) $('login').showModal();
}

function send(path, body) {
  return fetch(path, { method: 'POST', body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', 'x-tidegate': 'dashboard' } });
}

const words = ({ error, hint, number }) =>
  `${error ?? 'It failed.'}${hint ? ` (${hint})` : ''}${number ? ` ${number}` : ''}`;

$('login-open').addEventListener('click', openLogin);
$('login-close').addEventListener('click', () => $('login').close());
$('login-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const answer = await send('api/v1/login', { token: $('token').value });
  if (answer.ok) {
    $('token').value = '';
    $('login').close();
    loggedIn(true);
    connect();
  } else {
    $('login-error').textContent = words(await answer.json());
  }
});
$('logout').addEventListener('click', async () => {
  await send('api/v1/logout', {});
  loggedIn(false);
  connect();
});

let asked = null;
function confirm(command, text) {
  asked = command;
  $('confirm-text').textContent = text;
  $('confirm-command').textContent = command;
  $('confirm-answer').textContent = '';
  $('confirm-yes').disabled = false;
  $('confirm').showModal();
}
$('confirm-no').addEventListener('click', () => $('confirm').close());
$('confirm-yes').addEventListener('click', async () => {
  $('confirm-yes').disabled = true;
  const answer = await send('api/v1/command', { command: asked });
  if (answer.ok) {
    $('confirm').close();
  } else if (answer.status === 401) {
    $('confirm').close();
    openLogin();
  } else {
    $('confirm-answer').textContent = words(await answer.json());
    $('confirm-yes').disabled = false;
  }
});

// A browser that is logged in already sees it at once.
fetch('api/v1/overview').then((answer) => {
  if (answer.ok) answer.json().then((state) => loggedIn(state.may_command));
  else openLogin();
}).catch(() => {}).finally(connect);
