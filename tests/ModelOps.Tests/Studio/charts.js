async points => {
  const { createChart } = await import('./_content/ModelOps.Studio/studio.js');
  const updates = 120;
  const host = document.querySelector('#content');
  const row = step => [step, 3 + Math.sin(step / 50), step % 20 === 0 ? 3 : NaN];
  const bytesOf = rows => new Uint8Array(new Float64Array(rows.flat()).buffer);
  const charts = Array.from({ length: 4 }, () => {
    const element = document.createElement('div');
    host.append(element);
    return { element, chart: createChart(element, 220, ['loss', 'validation loss'], ['']) };
  });
  const frame = () => new Promise(requestAnimationFrame);
  const longTasks = [];
  new PerformanceObserver(list => list.getEntries().forEach(entry => longTasks.push(Math.round(entry.duration)))).observe({ type: 'longtask' });
  const started = performance.now();
  charts.forEach(one => one.chart.append(0, bytesOf(Array.from({ length: points }, (_, i) => row(i + 1)))));
  await frame();
  const first = performance.now() - started;
  await frame();
  const work = [];
  for (let update = 1; update <= updates; update++) {
    let before;
    requestAnimationFrame(() => { before = performance.now(); }); // first in the frame
    charts.forEach(one => one.chart.append(0, bytesOf([row(points + update)])));
    await frame(); // the last in it: the charts draw between
    work.push(performance.now() - before);
    await new Promise(resolve => setTimeout(resolve));
  }
  work.sort((a, b) => a - b);
  const answer = {
    points: +charts[3].element.dataset.points, draws: +charts[3].element.dataset.draws,
    first_ms: first, update_ms_median: work[updates / 2], update_ms_p95: work[Math.floor(updates * 0.95)], update_ms_most: work[updates - 1], long_tasks_ms: longTasks,
  };
  charts.forEach(one => { one.chart.destroy(); one.element.remove(); });
  return answer;
}
