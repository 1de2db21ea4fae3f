import uPlot from './lib/uPlot.esm.js';

export function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  document.cookie = `modelops-theme=${dark ? 'dark' : 'light'}; path=/; max-age=31536000; samesite=lax; secure`;
}

export const copy = text => navigator.clipboard.writeText(text);

export const renewCookie = async () => { await fetch('studio/session', { method: 'POST', headers: { 'X-Studio': '1' } }); };

export function keep(key, text) {
  try {
    if (text) sessionStorage.setItem(key, text);
    else sessionStorage.removeItem(key);
    return true;
  } catch {
    return false; // it is full
  }
}

export const kept = (key, otherwise) => new TextEncoder().encode(sessionStorage.getItem(key) ?? otherwise);

export function scrollToEnd(id) {
  const element = document.getElementById(id);
  if (element) element.scrollTop = element.scrollHeight;
}

// --- charts

const palettes = {
  light: ['#4338ca', '#b45309', '#0f766e', '#be185d', '#0369a1', '#4d7c0f'],
  dark: ['#a5b4fc', '#fcd34d', '#5eead4', '#f9a8d4', '#7dd3fc', '#bef264'],
};
const theme = () => document.documentElement.dataset.theme === 'dark' ? 'dark' : 'light';
const ink = () => theme() === 'dark' ? { text: '#a3b1c6', line: '#263349' } : { text: '#475569', line: '#e2e8f0' };

const short = value => value == null ? '' : Math.abs(value) >= 1e9 ? `${+(value / 1e9).toPrecision(4)}G` : Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(4)}M` : Math.abs(value) >= 10000 ? `${+(value / 1000).toPrecision(3)}k`
  : value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : `${+value.toPrecision(5)}`;

// Each of the runs has the series of all names. Runs beside each other have a colour each, and dashes tell their series apart; of one alone each series has a colour.
// seconds: x is the time, and as many of them are shown; else x is a step.
export function createChart(element, height, names, runs, seconds) {
  const columns = names.length + 1;
  const tables = runs.map(() => [[], ...names.map(() => [])]);
  const axis = size => ({ font: '11px Inter, sans-serif', stroke: () => ink().text, grid: { stroke: () => ink().line, width: 1 }, ticks: { stroke: () => ink().line }, size });
  const series = (run, name) => ({
    label: runs.length > 1 ? `${runs[run]}${names.length > 1 ? ` ${names[name]}` : ''}` : names[name],
    stroke: () => palettes[theme()][(runs.length > 1 ? run : name) % 6],
    dash: runs.length > 1 && name > 0 ? [6, 4] : undefined,
    width: 1.75, spanGaps: true, value: (_, value) => short(value),
    points: { show: (u, s) => few(u.data[s]), size: 4 },
  });
  const chart = new uPlot({
    width: element.clientWidth,
    height,
    scales: { x: { time: seconds != null } },
    cursor: { drag: { x: true, y: false } },
    legend: { live: true },
    axes: [axis(28), { ...axis(54), values: (_, ticks) => ticks.map(short) }],
    series: [{ label: seconds == null ? 'step' : 'at' }, ...runs.flatMap((_, run) => names.map((_, name) => series(run, name)))],
  }, joined(), element);
  const resized = new ResizeObserver(() => { if (element.clientWidth) chart.setSize({ width: element.clientWidth, height }); });
  resized.observe(element);
  const themed = new MutationObserver(() => chart.redraw(false, true));
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  let drawing = false;
  function joined() {
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  }
  const draw = () => {
    drawing = false;
    chart.setData(joined());
    element.dataset.points = tables.reduce((n, [steps]) => n + steps.length, 0);
    element.dataset.draws = +(element.dataset.draws ?? 0) + 1;
  };
  return {
    // bytes: the step and a value per name, as doubles; NaN is no value.
    append(run, bytes) {
      const data = tables[run];
      const rows = new Float64Array(bytes.slice().buffer);
      for (let at = 0; at < rows.length; at += columns) {
        // Steps that are done again, after a worker's death say, take the place of what they left.
        while (data[0].length && data[0][data[0].length - 1] >= rows[at]) data.forEach(column => column.pop());
        for (let c = 0; c < columns; c++) data[c].push(Number.isNaN(rows[at + c]) ? null : rows[at + c]);
      }
      while (seconds != null && data[0].length && data[0][0] < data[0][data[0].length - 1] - seconds) data.forEach(column => column.shift());
      if (!drawing) {
        drawing = true;
        requestAnimationFrame(draw);
      }
    },
    destroy() {
      resized.disconnect();
      themed.disconnect();
      chart.destroy();
    },
  };
}

// Whether each value has a mark: lines alone would hide a single one.
function few(values) {
  let count = 0;
  for (const value of values) if (value != null && ++count >= 30) return false;
  return true;
}

// --- files

// Sends a file to the server beside the circuit, which is made for small messages.
export function upload(input, file, page) {
  return new Promise(resolve => {
    const request = new XMLHttpRequest();
    request.open('POST', `studio/files?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader('X-Studio', '1');
    let last = 0;
    request.upload.onprogress = event => {
      const now = performance.now();
      if (now - last < 200 && event.loaded < event.total) return;
      last = now;
      page.invokeMethodAsync('OnProgress', event.loaded, event.total);
    };
    request.onload = () => resolve(request.status === 200 ? { id: request.responseText, name: file.name, size: file.size } : { error: request.responseText || `The server answered ${request.status}.` });
    request.onerror = () => resolve({ error: 'The connection broke before the file was sent; try again.' });
    request.send(file);
  });
}

export function acceptDrops(zone, input, page) {
  const take = async files => {
    if (!files.length) return;
    await page.invokeMethodAsync('OnChosen', files[0].name, files[0].size);
    await page.invokeMethodAsync('OnSent', await upload(input, files[0], page));
  };
  zone.addEventListener('dragover', event => { event.preventDefault(); zone.classList.add('over'); });
  zone.addEventListener('dragleave', () => zone.classList.remove('over'));
  zone.addEventListener('drop', event => { event.preventDefault(); zone.classList.remove('over'); take(event.dataTransfer.files); });
  input.addEventListener('change', () => take(input.files));
  take(input.files); // chosen before the page was alive
}
