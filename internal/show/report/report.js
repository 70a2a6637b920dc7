'use strict';
// The report can be read without this script. It adds sorting, saving and a
// crosshair, and never makes markup out of text.
(() => {
  document.documentElement.classList.add('scripted');

  const save = (name, type, text) => {
    const a = document.createElement('a');
    a.href = URL.createObjectURL(new Blob([text], { type }));
    a.download = name;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 1000);
  };

  // A spreadsheet takes text that begins like this for a formula.
  const inert = s => /^[=+\-@]/.test(s) && !/^-[\d.]+$/.test(s) ? "'" + s : s;
  const quote = s => /[",\n]/.test(s) ? '"' + s.replaceAll('"', '""') + '"' : s;
  const csv = table => Array.from(table.rows, row =>
    Array.from(row.cells, cell => quote(inert(cell.textContent.trim()))).join(',') + '\n').join('');

  for (const button of document.querySelectorAll('button.csv')) {
    button.addEventListener('click', () =>
      save(button.dataset.as, 'text/csv', csv(button.closest('details').querySelector('table'))));
  }
  for (const button of document.querySelectorAll('button.save')) {
    button.addEventListener('click', () => {
      const data = JSON.parse(document.getElementById(button.dataset.from).textContent);
      const isText = typeof data === 'string';
      save(button.dataset.as, isText ? 'text/csv' : 'application/json', isText ? data : JSON.stringify(data, null, 2) + '\n');
    });
  }

  const key = (row, i) => {
    const cell = row.cells[i];
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  };
  const sort = (table, i) => {
    const heads = table.tHead.rows[0].cells;
    const up = heads[i].getAttribute('aria-sort') !== 'ascending';
    for (const head of heads) head.removeAttribute('aria-sort');
    heads[i].setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const rows = Array.from(table.tBodies[0].rows).sort((a, b) => {
      const x = key(a, i), y = key(b, i);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    table.tBodies[0].append(...rows);
    table.dataset.sorted = i;
  };
  for (const table of document.querySelectorAll('table.sortable')) {
    Array.from(table.tHead.rows[0].cells, (head, i) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.title = 'Sort by this column';
      button.append(head.firstChild);
      button.addEventListener('click', () => sort(table, i));
      head.prepend(button);
    });
  }

  // Pointing at a chart of lines names every series at the nearest value of x.
  const crosshair = svg => {
    const marks = Array.from(svg.querySelectorAll('.mark[data-x]'), mark => ({
      x: mark.transform.baseVal.consolidate().matrix.e,
      y: mark.transform.baseVal.consolidate().matrix.f,
      at: mark.dataset.x, value: mark.dataset.y, name: mark.parentNode.dataset.name,
    }));
    const cross = svg.querySelector('.cross');
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    svg.after(tip);
    const hide = () => { tip.hidden = true; cross.style.visibility = 'hidden'; };
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('pointermove', event => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale;
      const near = marks.reduce((a, b) => Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a);
      cross.setAttribute('x1', near.x);
      cross.setAttribute('x2', near.x);
      cross.style.visibility = 'visible';
      const head = document.createElement('b');
      head.textContent = near.at;
      const lines = marks.filter(m => m.at === near.at).sort((a, b) => a.y - b.y).map(m => {
        const line = document.createElement('span'), value = document.createElement('span');
        line.textContent = m.name;
        value.textContent = m.value;
        line.append(value);
        return line;
      });
      tip.replaceChildren(head, ...lines);
      tip.hidden = false;
      const figure = svg.closest('figure').getBoundingClientRect();
      const left = near.x / scale + box.left - figure.left + 14;
      tip.style.left = Math.min(left, figure.width - tip.offsetWidth) + 'px';
      tip.style.top = box.top - figure.top + 36 + 'px';
    });
  };
  for (const svg of document.querySelectorAll('svg.lines')) crosshair(svg);
})();
