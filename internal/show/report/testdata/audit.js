// Examines an open report and returns its findings. Run by TestBrowser.
(async () => {
  const visible = el => { const b = el.getBoundingClientRect(); return b.width > 0 && b.height > 0; };
  const found = { overflow: 0, charts: 0, missing: [], overlaps: [], outside: [], contrast: [], sorted: false, tip: '', saved: [] };

  found.overflow = Math.max(0, document.documentElement.scrollWidth - innerWidth, document.body.scrollWidth - innerWidth);

  for (const figure of document.querySelectorAll('figure')) {
    const shown = Array.from(figure.querySelectorAll('svg')).filter(visible);
    found.charts += shown.length;
    if (shown.length !== 1) found.missing.push(`${figure.id}: ${shown.length}`);
  }

  const charts = Array.from(document.querySelectorAll('svg.chart')).filter(visible);
  for (const svg of charts) {
    const frame = svg.getBoundingClientRect();
    const texts = Array.from(svg.querySelectorAll('text'), el => ({ el, text: el.textContent, box: el.getBoundingClientRect() }));
    texts.forEach((a, i) => {
      const out = Math.max(frame.left - a.box.left, a.box.right - frame.right, frame.top - a.box.top, a.box.bottom - frame.bottom);
      if (out > 1) found.outside.push(`${svg.id || svg.getAttribute('aria-labelledby')}: "${a.text}" by ${out.toFixed(1)}`);
      for (const b of texts.slice(i + 1)) {
        const w = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
        const h = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
        if (w > .5 && h > .5) found.overlaps.push(`${svg.getAttribute('aria-labelledby')}: "${a.text}" and "${b.text}"`);
      }
    });
  }

  // WCAG 2.2, relative luminance and contrast ratio.
  const rgb = s => s.match(/[\d.]+/g).map(Number);
  const luminance = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const behind = el => {
    for (; el; el = el.parentElement) {
      const c = rgb(getComputedStyle(el).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const el = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !visible(el) || el.closest('script, style, title, desc')) continue;
    const style = getComputedStyle(el);
    const color = el.closest('svg') ? style.fill : style.color;
    const ratio = contrast(rgb(color), behind(el));
    const what = `${el.tagName.toLowerCase()}.${el.getAttribute('class') || ''} ${color} on ${behind(el)}: ${ratio.toFixed(2)}`;
    if (ratio < 4.5 && !seen.has(what)) { seen.add(what); found.contrast.push(what); }
  }

  // Graphics need 3:1: WCAG 2.2, 1.4.11.
  for (const el of document.querySelectorAll('.chart .bar, .chart .mark:not(.open), .chart .dot:not(.open), .chart .limit, .chart .whisker')) {
    if (!visible(el.closest('svg'))) continue;
    const style = getComputedStyle(el);
    const color = el.matches('.limit, .whisker') ? style.stroke : style.fill;
    const ratio = contrast(rgb(color), behind(el));
    const what = `${el.getAttribute('class')} ${color}: ${ratio.toFixed(2)}`;
    if (ratio < 3 && !seen.has(what)) { seen.add(what); found.contrast.push(what); }
  }

  const column = Array.from(document.querySelectorAll('table.board th')).findIndex(th => th.textContent.startsWith('capacity'));
  if (column >= 0) {
    document.querySelectorAll('table.board th')[column].querySelector('button').click();
    const sorted = Array.from(document.querySelectorAll('table.board tbody tr'), tr => Number(tr.cells[column].dataset.sort));
    found.sorted = sorted.length > 1 && sorted.every((v, i) => i === 0 || v >= sorted[i - 1]) && sorted[0] < sorted.at(-1);
  }
  // Pointing at the lines names all of them.
  const lines = charts.find(svg => svg.classList.contains('lines'));
  const box = lines.getBoundingClientRect();
  lines.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width / 3, clientY: box.top + 40 }));
  const tip = document.querySelector('.tip:not([hidden])');
  if (!tip || !visible(tip)) found.tip = 'none';
  else if (tip.querySelectorAll(':scope > span').length !== lines.querySelectorAll('.series').length) found.tip = tip.textContent;

  // What the buttons save, caught before it becomes a download.
  const blobs = [];
  URL.createObjectURL = blob => { blobs.push(blob); return ''; };
  HTMLAnchorElement.prototype.click = () => {};
  for (const button of document.querySelectorAll('button.csv, button.save')) button.click();
  found.saved = await Promise.all(blobs.map(async blob => (await blob.text()).slice(0, 40)));
  return found;
})()
