const MINUTE = 60;
const MODERATE = 0.5, HIGH = 0.8; // shares of the capacity
const PER_SECOND = 4; // samples
const CANDLES = 40;
// The slider's stops, in µs: five a decade.
const WORK = [0, 10, 16, 25, 40, 63, 100, 160, 250, 400, 630, 1000, 1600, 2500, 4000, 6300, 10000, 16000, 25000, 50000];
const LABEL = 15; // px, the height of a label in a chart

const $ = id => document.getElementById(id);
const number = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});
const three = new Intl.NumberFormat("en", {maximumSignificantDigits: 3});
const price = new Intl.NumberFormat("en", {maximumSignificantDigits: 7});

// Charts

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name);
const paint = name => () => colour(name);
const font = "12px Inter, system-ui, sans-serif";
const charts = [];

function chart(element, options) {
	const size = () => ({width: element.clientWidth, height: element.clientHeight});
	const plot = new uPlot({
		...size(),
		legend: {show: false},
		cursor: {show: false},
		padding: [8, 12, 8, 0],
		...options,
	}, options.series.map(() => []), element);
	new ResizeObserver(() => plot.setSize(size())).observe(element);
	charts.push(plot);
	return plot;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(c => c.redraw()));

let ended = false;

const axis = {stroke: paint("--soft"), font, ticks: {show: false}, grid: {stroke: paint("--grid"), width: 1}};
const axisY = {...axis, size: 52, space: 36, values: (_, splits) => splits.map(v => short.format(v))};

const lastMinute = {
	padding: [8, 44, 8, 0], // room for names at the right end of lines
	scales: {
		x: {time: false, range: (_, min, max) => [max - MINUTE, max]},
		y: {range: (_, min, max) => [0, Math.max(max, 1) * 1.06]},
	},
	axes: [{
		...axis,
		size: 20,
		splits: u => [-60, -45, -30, -15, 0].map(s => u.scales.x.max + s),
		values: () => ["−60 s", "−45 s", "−30 s", "−15 s", ended ? "end" : "now"],
	}, axisY],
};

const mark = (name, dash) => ({stroke: paint(name), width: 1.5, dash, points: {show: false}});
const line = (name, fill) => ({stroke: paint(name), width: 2, fill: fill && paint(fill), points: {show: false}});

const depthChart = chart($("depth-chart"), {
	...lastMinute,
	padding: [8 + 3 * LABEL, 44, 8, 0], // room for the changes of settings above
	series: [{}, mark("--soft", [2, 4]), mark("--high", [6, 4]), mark("--moderate", [6, 4]), line("--depth", "--depth-fill")],
	hooks: {draw: [nameLevels, drawChanges]},
});

// label returns the chart's label of that name, which it makes if need be. The
// labels are elements, so that they can be read and measured.
function label(u, name) {
	let element = u.root.querySelector(`[data-label="${name}"]`);
	if (!element) {
		element = document.createElement("span");
		element.className = "label";
		element.dataset.label = name;
		u.root.append(element);
	}
	return element;
}

// nameLevels names the lines at 50 and 80 percent, at their right ends. The
// labels keep their distance where the lines don't.
function nameLevels(u) {
	if (!u.data[0].length) return;
	const y = series => u.over.offsetTop + u.valToPos(u.data[series].at(-1), "y");
	let high = y(2), moderate = y(3);
	const missing = LABEL - (moderate - high);
	if (missing > 0) {
		high -= missing / 2;
		moderate += missing / 2;
	}
	const below = moderate + LABEL / 2 - (u.over.offsetTop + u.over.offsetHeight);
	if (below > 0) {
		high -= below;
		moderate -= below;
	}
	for (const [name, top] of [["80 %", high], ["50 %", moderate]]) {
		const element = label(u, name);
		element.textContent = name;
		element.style.left = u.over.offsetLeft + u.over.offsetWidth + 6 + "px";
		element.style.top = top - LABEL / 2 + "px";
	}
}

// changes returns what changed from each sample to the next.
function changes() {
	const found = [];
	for (let i = 1; i < samples.length; i++) {
		const old = samples[i - 1], now = samples[i];
		const what = [];
		if (now.work !== old.work) what.push("work " + duration(now.work / 1e6));
		if (now.workers !== old.workers) what.push("workers " + number.format(now.workers));
		if (now.capacity !== old.capacity) what.push("capacity " + number.format(now.capacity));
		if (now.overflow !== old.overflow) what.push(now.overflow);
		if (now.bursts !== old.bursts) what.push("burst");
		if (what.length) found.push({time: now.elapsed, text: what.join(", ")});
	}
	return found;
}

// drawChanges marks where a setting changed. Labels that would overlap stand in
// rows; those for which there is no row are left out.
function drawChanges(u) {
	const ends = [0, 0, 0]; // the right end of each row
	const shown = new Set();
	u.ctx.save();
	u.ctx.strokeStyle = colour("--soft");
	u.ctx.lineWidth = devicePixelRatio;
	for (const {time, text} of changes()) {
		const x = u.valToPos(time / 1000, "x");
		if (x < 0) continue;
		u.ctx.beginPath();
		u.ctx.moveTo(u.valToPos(time / 1000, "x", true), u.bbox.top);
		u.ctx.lineTo(u.valToPos(time / 1000, "x", true), u.bbox.top + u.bbox.height);
		u.ctx.stroke();
		const element = label(u, "change " + time);
		element.classList.add("change");
		element.textContent = text;
		const left = Math.min(u.over.offsetLeft + x, u.root.offsetWidth - element.offsetWidth - 4);
		const row = ends.findIndex(end => end <= left);
		element.hidden = row < 0;
		if (row >= 0) {
			ends[row] = left + element.offsetWidth + 8;
			element.style.left = left + "px";
			element.style.top = u.over.offsetTop - (row + 1) * LABEL - 2 + "px";
		}
		shown.add(element);
	}
	u.ctx.restore();
	for (const element of u.root.querySelectorAll(".change")) {
		if (!shown.has(element)) element.remove();
	}
}

const ratesChart = chart($("rates-chart"), {...lastMinute, series: [{}, line("--in"), line("--out")]});

// Candles stand at 0, 1, 2, ...; the newest one is always at the right edge.
const coins = new Map();

function coin(name) {
	if (!coins.has(name)) {
		const card = document.createElement("article");
		card.className = "card";
		card.innerHTML = `<h2></h2><div class="chart" role="img"></div>`;
		const close = document.createElement("span");
		card.firstChild.append(name, close);
		$("candles").append(card);
		const plot = chart(card.lastChild, {
			scales: {x: {time: false, range: [-1, CANDLES]}, y: {range: (_, min, max) => uPlot.rangeNum(min, max, 0.08, true)}},
			axes: [{show: false}, {...axisY, size: 64, values: (_, splits) => splits.map(v => price.format(v))}],
			series: [{}, ...Array.from({length: 4}, () => ({paths: () => null, points: {show: false}}))],
			hooks: {draw: [drawCandles]},
		});
		coins.set(name, {plot, close, picture: card.lastChild});
	}
	return coins.get(name);
}

function drawCandles(u) {
	const [xs, opens, highs, lows, closes] = u.data;
	const y = value => u.valToPos(value, "y", true);
	const width = Math.max(Math.round(u.bbox.width / (CANDLES + 1) * 0.6), 1);
	const wick = Math.max(Math.round(devicePixelRatio), 1);
	xs.forEach((x, i) => {
		const middle = Math.round(u.valToPos(x, "x", true));
		const top = y(Math.max(opens[i], closes[i])), bottom = y(Math.min(opens[i], closes[i]));
		u.ctx.fillStyle = colour(closes[i] >= opens[i] ? "--up" : "--down");
		u.ctx.fillRect(middle - wick / 2, y(highs[i]), wick, y(lows[i]) - y(highs[i]));
		u.ctx.fillRect(middle - width / 2, top, width, Math.max(bottom - top, wick));
	});
}

function showCandles(all) {
	for (const name of Object.keys(all).sort()) {
		const bars = all[name], {plot, close, picture} = coin(name);
		const columns = [1, 2, 3, 4].map(i => bars.map(bar => bar[i]));
		plot.setData([bars.map((_, i) => i + CANDLES - bars.length), ...columns]);
		close.textContent = price.format(bars.at(-1)[4]);
		picture.ariaLabel = `The last bars of ${name}`;
	}
}

// Statistics

let samples = [];

// rate returns the rate over the second before sample i.
function rate(i, count) {
	const from = samples[i - PER_SECOND], to = samples[i];
	return from ? (count(to) - count(from)) * 1000 / (to.elapsed - from.elapsed) : null;
}

function duration(ms) {
	if (!Number.isFinite(ms)) return "∞";
	if (ms === 0) return "none";
	if (ms < 1) return three.format(ms * 1000) + " µs";
	if (ms < 1000) return three.format(ms) + " ms";
	return (ms / 1000).toFixed(1) + " s";
}

const received = s => s.received, processed = s => s.processed;

function show(more) {
	samples = samples.concat(more).slice(-(MINUTE + 1) * PER_SECOND);
	const now = samples.at(-1), last = samples.length - 1;
	const share = now.depth / now.capacity;
	const out = rate(last, processed) ?? 0;
	const text = {
		"in": number.format(rate(last, received) ?? 0),
		"out": number.format(out),
		"parked": now.parked,
		"blocked": duration(now.blocked_for / 1e6),
		"dropped": number.format(now.dropped),
		"depth": number.format(now.depth),
		"capacity-now": number.format(now.capacity),
		"wait": duration(now.in_queue.p50_ms),
		"wait-p99": duration(now.in_queue.p99_ms),
		"workers-now": number.format(now.workers),
		"unfinished": number.format(now.unfinished),
		"drain": now.depth === 0 ? "none" : duration(now.depth / out * 1000),
		"stored": number.format(now.stored),
		"received": number.format(now.received),
		"processed": number.format(now.processed),
		"latency": duration(now.latency.p50_ms),
		"latency-p99": duration(now.latency.p99_ms),
	};
	for (const id in text) $(id).textContent = text[id];
	const level = share >= 1 || now.parked > 0 ? "full" : share >= HIGH ? "high" : share >= MODERATE ? "moderate" : "ok";
	$("queue").dataset.level = $("level").textContent = level;
	$("fill").style.width = Math.min(share, 1) * 100 + "%";
	$("parked").classList.toggle("alarm", now.parked > 0);
	$("dropped").classList.toggle("alarm", now.dropped > 0);
	showQuotes(now, last);
	draw();
	showSettings(now);
	if (now.draining) state("draining", "shutting down");
}

function draw() {
	const times = samples.map(s => s.elapsed / 1000);
	const shares = f => samples.map(s => s.capacity * f);
	depthChart.setData([times, shares(1), shares(HIGH), shares(MODERATE), samples.map(s => s.depth)]);
	ratesChart.setData([times, ...[received, processed].map(count => samples.map((_, i) => rate(i, count)))]);
}

// stop blanks what holds only while the program runs.
function stop() {
	for (const id of ["in", "out", "parked", "depth", "wait", "wait-p99", "workers-now", "unfinished", "drain", "latency", "latency-p99", "level"]) {
		$(id).textContent = "–";
	}
	$("queue").dataset.level = "ok";
	$("fill").style.width = 0;
	$("parked").classList.remove("alarm");
	for (const cell of document.querySelectorAll("#quotes .rate")) cell.textContent = "–";
}

// showQuotes shows each coin's newest quote, and how many were replaced before a
// worker took them.
function showQuotes(now, last) {
	const quotes = now.quotes ?? {};
	$("quotes").hidden = Object.keys(quotes).length === 0;
	for (const coin of Object.keys(quotes).sort()) {
		const {bid, ask, received, replaced} = quotes[coin];
		let row = document.getElementById("quote-" + coin);
		if (!row) {
			row = document.createElement("tr");
			row.id = "quote-" + coin;
			row.innerHTML = `<th scope="row"></th><td></td><td></td><td class="spread"></td><td class="rate"></td><td class="conflated"></td>`;
			$("quotes").querySelector("tbody").append(row);
		}
		const spread = bid && ask ? `${price.format(ask - bid)} (${three.format((ask - bid) / ask * 1e4)} bp)` : "–";
		const text = [coin, bid || "–", ask || "–", spread, number.format(rate(last, s => s.quotes?.[coin]?.received ?? 0) ?? 0),
			received ? three.format(replaced / received * 100) + " %" : "–"];
		text.forEach((t, i) => row.cells[i].textContent = t);
	}
}

function state(name, text) {
	if ($("state").dataset.state === name) return; // it is announced once
	$("state").dataset.state = name;
	$("state").textContent = text;
}

// Controls

const touched = {}; // when a control was last used here; the program's samples may be older
let settings; // of the last sample

function showSettings({workers, capacity, work, overflow}) {
	settings = {workers, capacity, overflow};
	const rest = id => !(performance.now() - touched[id] < 1000);
	for (const id of ["workers", "capacity"]) {
		if (document.activeElement !== $(id) && rest(id)) $(id).value = settings[id];
	}
	if (rest("overflow")) $("overflow").value = overflow;
	if (rest("work")) showWork(work / 1000);
}

function showWork(us) {
	const near = WORK.reduce((best, stop) => Math.abs(stop - us) < Math.abs(best - us) ? stop : best);
	$("work").value = WORK.indexOf(near);
	$("work-text").textContent = $("work").ariaValueText = duration(us / 1000);
}

function say(text, error) {
	$("message").textContent = text;
	$("message").classList.toggle("error", Boolean(error));
}

async function post(path, fields) {
	try {
		const answer = await fetch(path, {method: "POST", body: new URLSearchParams(fields)});
		say(answer.ok ? "" : await answer.text(), !answer.ok);
		return answer.ok;
	} catch {
		say("The program does not answer.", true);
		return false;
	}
}

async function set(id, value) {
	const now = touched[id] = performance.now();
	if (!await post("/settings", {[id]: value}) && touched[id] === now) {
		touched[id] = -Infinity;
		reset(id);
	}
}

// reset shows the program's value, also in a field with the focus.
function reset(id) {
	if (settings && id in settings) $(id).value = settings[id];
}

$("work").max = WORK.length - 1;
$("work").addEventListener("input", () => {
	const us = WORK[$("work").value];
	showWork(us);
	set("work", `${us}us`);
});

for (const id of ["workers", "capacity", "overflow"]) {
	$(id).addEventListener("change", () => set(id, $(id).value));
}

for (const button of document.querySelectorAll(".stepper button")) {
	button.addEventListener("click", () => {
		const {"for": id, add = 0, times = 1} = button.dataset;
		$(id).value = Math.max(Math.floor(Number($(id).value) * times + Number(add)), 1);
		set(id, $(id).value);
	});
}

$("burst").addEventListener("click", () => post("/burst"));

$("shutdown").addEventListener("click", () => $("confirm").showModal());
$("confirm-no").addEventListener("click", () => $("confirm").close());
$("confirm-yes").addEventListener("click", async () => {
	$("confirm").close();
	$("shutdown").disabled = true;
	if (await post("/shutdown")) {
		state("draining", "shutting down");
		say("The feed has stopped. The workers process the trades that are queued.");
	} else {
		$("shutdown").disabled = false;
	}
});

// Events

const events = new EventSource("/events");
const on = (name, f) => events.addEventListener(name, e => f(JSON.parse(e.data)));

events.onopen = () => {
	samples = []; // the program sends the whole minute again
	state("live", "live");
};
events.onerror = () => {
	state("connecting", "connection lost; trying again");
	stop();
};

on("run", ({source, bar, burst}) => {
	$("run").textContent = `${source} · bars of ${bar}`;
	$("burst").hidden = !burst;
});
on("samples", more => more.length && show(more));
on("candles", showCandles);
on("end", s => {
	events.close();
	ended = true;
	state("ended", "ended");
	["workers", "capacity", "overflow"].forEach(reset); // before they lose the focus, which would send what was typed
	document.activeElement.blur();
	$("confirm").close();
	$("controls").disabled = true;
	$("metrics").textContent = "The program has ended, and /metrics with it.";
	stop();
	draw();
	const lost = s.received - s.processed;
	say(`Received ${number.format(s.received)} trades: processed ${number.format(s.processed)}, dropped ${number.format(s.dropped)}, ` +
		`drained ${number.format(s.drained)}; ${lost === 0 ? "none" : number.format(lost)} lost.`, lost !== 0);
	showAccount(s);
});

function showAccount(s) {
	const figures = {
		"Received": number.format(s.received),
		"Processed": number.format(s.processed),
		"Dropped": number.format(s.dropped),
		"Drained": number.format(s.drained),
		"Repeats": number.format(s.repeats),
		"Bad": number.format(s.bad),
		"Bars": number.format(s.bars),
		"Greatest depth": number.format(s.max_depth),
		"Feed blocked": duration(s.put_blocked_seconds * 1000),
		"Socket to bar, p50": duration(s.latency.p50_ms),
		"Socket to bar, p99": duration(s.latency.p99_ms),
	};
	const list = $("account").querySelector("dl");
	for (const name in figures) {
		const pair = document.createElement("div");
		pair.innerHTML = "<dt></dt><dd></dd>";
		pair.children[0].textContent = name;
		pair.children[1].textContent = figures[name];
		list.append(pair);
	}
	$("account").hidden = false;
}
