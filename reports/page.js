// The page reads without this script. It adds the values under the pointer and buttons that copy.
'use strict';
(function () {
  function number(v, unit) {
    var sizes = unit === 's' ? [[3600, ' h', 5], [60, ' min', 5], [1, ' s', 1], [1e-3, ' ms', 1], [1e-6, ' µs', 0]]
      : unit === 'B' ? [[1073741824, ' GiB', 1], [1048576, ' MiB', 1], [1024, ' KiB', 1], [1, ' B', 0]]
      : [[1e9, 'G' + unit, 1], [1e6, 'M' + unit, 1], [1e3, 'k' + unit, 10], [1, unit, 0]];
    for (var i = 0; i < sizes.length; i++) {
      if (Math.abs(v) >= sizes[i][0] * sizes[i][2]) return +(v / sizes[i][0]).toPrecision(3) + sizes[i][1];
    }
    return String(v);
  }
  function two(n) { return (n < 10 ? '0' : '') + n; }
  function when(v, scale, unit, off) {
    if (scale === 'clock') return new Date((v + off) * 1000).toISOString().slice(11, 19);
    if (scale !== 'elapsed') return number(v, unit);
    if (Math.abs(v) < 120) return +v.toPrecision(3) + ' s';
    v = Math.round(v);
    return v < 10800 ? Math.floor(v / 60) + ':' + two(v % 60) : Math.floor(v / 3600) + ':' + two(Math.floor(v / 60) % 60) + ' h';
  }
  // A path's points, from its d; a break between two runs is null.
  function points(d) {
    var out = [], x = 0, y = 0, re = /([Mlhvz])([^Mlhvz]*)/g, m;
    while ((m = re.exec(d))) {
      var n = (m[2].match(/-?\d+/g) || []).map(Number);
      if (m[1] === 'M') { x = n[0]; y = n[1]; if (out.length) out.push(null); out.push([x, y]); }
      if (m[1] === 'l') for (var i = 0; i + 1 < n.length; i += 2) { x += n[i]; y += n[i + 1]; out.push([x, y]); }
    }
    return out;
  }
  // The height of the line at x: between two points, or at one that stands alone.
  function height(list, x) {
    for (var i = 0; i < list.length; i++) {
      var p = list[i], q = list[i + 1];
      if (!p) continue;
      if (Math.abs(p[0] - x) < 1) return p[1];
      if (q && p[0] <= x && x <= q[0]) return p[1] + (q[1] - p[1]) * (x - p[0]) / (q[0] - p[0] || 1);
    }
    return null;
  }
  function place(range, at) {
    var low = +range[0], high = +range[1];
    return range[2] === 'log' ? low * Math.pow(high / low, at) : low + (high - low) * at;
  }
  // A plot that the pointer can read: at(share of its width) shows the values there, hide takes them away.
  function readable(plot) {
    var area = plot.querySelector('.pa'), data = plot.dataset, xr = data.x.split(' '), yr = data.y.split(' '), series = null;
    var names = Array.prototype.map.call(plot.parentNode.querySelectorAll('.legend .n'), function (n) { return n.textContent; });
    var tip = document.createElement('div'), hair = document.createElement('div');
    tip.className = 'tip'; hair.className = 'hair';
    function read() {
      series = Array.prototype.map.call(area.querySelectorAll('path[data-i]'), function (p) {
        var list = points(p.getAttribute('d')), stacked = p.parentNode.classList.contains('ar');
        // An area begins and ends at the bottom, which is no value.
        if (stacked) list = list.filter(function (q, i) { return !q || i > 0 && list[i - 1] && i + 1 < list.length && list[i + 1]; });
        return { i: +p.dataset.i, area: stacked, list: list };
      });
      if (series.length && series[0].area) names.reverse();
    }
    function at(share) {
      if (!series) read();
      var below = 440, lines = [];
      series.slice().sort(function (a, b) { return a.i - b.i; }).forEach(function (s) {
        var y = height(s.list, share * 1600);
        if (y === null) { if (!s.area) lines.push(names[s.i] + ': –'); return; }
        var v = place(yr, 1 - y / 440);
        if (s.area) { v -= place(yr, 1 - below / 440); below = y; }
        lines.push(names[s.i] + ': ≈ ' + number(v, data.uy));
      });
      if (!lines.length) return;
      if (series[0].area) lines.reverse();
      tip.textContent = when(place(xr, share), xr[2], data.ux, +data.off) + '\n' + lines.join('\n');
      area.append(hair, tip);
      hair.style.left = 100 * share + '%';
      tip.style.left = share < 0.5 ? 'calc(' + 100 * share + '% + 10px)' : 'auto';
      tip.style.right = share < 0.5 ? 'auto' : 'calc(' + 100 * (1 - share) + '% + 10px)';
    }
    return { area: area, axis: data.x, time: xr[2] === 'elapsed' || xr[2] === 'clock', at: at, hide: function () { tip.remove(); hair.remove(); } };
  }
  // Pictures on the same stretch of time are read at the same moment.
  var plots = Array.prototype.map.call(document.querySelectorAll('.plot'), readable);
  plots.forEach(function (plot) {
    var linked = plots.filter(function (p) { return p === plot || plot.time && p.axis === plot.axis; });
    function show(e) {
      var box = plot.area.getBoundingClientRect(), share = Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
      linked.forEach(function (p) { p.at(share); });
    }
    plot.area.addEventListener('pointermove', show);
    plot.area.addEventListener('pointerdown', show);
    plot.area.addEventListener('pointerleave', function () { linked.forEach(function (p) { p.hide(); }); });
  });
  // What a spreadsheet would run as a formula gets an apostrophe, as in the CSV form.
  function cell(s) {
    s = s.replace(/\s+/g, ' ').trim();
    return /^[=+\-@＝＋－＠]/.test(s) && !/^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?%?$/.test(s) ? "'" + s : s;
  }
  function copyButton(label, text) {
    var b = document.createElement('button');
    b.type = 'button'; b.textContent = label;
    b.addEventListener('click', function () {
      if (!navigator.clipboard) { b.textContent = 'This browser does not let the page copy'; return; }
      navigator.clipboard.writeText(text()).then(function () { b.textContent = 'Copied'; }, function () { b.textContent = 'Not allowed to copy'; });
    });
    return b;
  }
  document.querySelectorAll('.box').forEach(function (box) {
    var table = box.querySelector('table');
    if (!table) return;
    box.append(copyButton('Copy table', function () {
      return Array.prototype.map.call(table.rows, function (r) {
        return Array.prototype.map.call(r.cells, function (c) { return cell(c.textContent); }).join('\t');
      }).join('\n');
    }));
  });
  var report = document.getElementById('report');
  if (report) document.querySelector('main').append(copyButton('Copy the report as JSON', function () { return report.textContent; }));
})();
