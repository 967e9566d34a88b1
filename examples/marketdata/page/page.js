const MINUTE = 60;
const MODERATE = 0.5, HIGH = 0.8; // shares of the capacity
const PER_SECOND = 4; // samples
const CANDLES = 40;
const WORK = [0, 1, 2, 5, 10, 20, 50]; // ms, the slider's stops; less than one is rounded up to it by timers

const $ = id => document.getElementById(id);
const number = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});
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
		values: () => ["−60 s", "−45 s", "−30 s", "−15 s", "now"],
	}, axisY],
};

const mark = (name, dash) => ({stroke: paint(name), width: 1.5, dash, points: {show: false}});
const line = (name, fill) => ({stroke: paint(name), width: 2, fill: fill && paint(fill), points: {show: false}});

const depthChart = chart($("depth-chart"), {
	...lastMinute,
	series: [{}, mark("--soft", [2, 4]), mark("--high", [6, 4]), mark("--moderate", [6, 4]), line("--depth", "--depth-fill")],
	hooks: {draw: [u => {
		u.ctx.save();
		u.ctx.font = `600 ${12 * devicePixelRatio}px Inter, system-ui, sans-serif`;
		u.ctx.textAlign = "left";
		u.ctx.textBaseline = "middle";
		for (const [series, text, tint] of [[2, "80 %", "--high"], [3, "50 %", "--moderate"]]) {
			if (u.data[series].length === 0) continue;
			u.ctx.fillStyle = colour(tint);
			u.ctx.fillText(text, u.bbox.left + u.bbox.width + 6 * devicePixelRatio, u.valToPos(u.data[series].at(-1), "y", true));
		}
		u.ctx.restore();
	}]},
});

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

// Figures

let samples = [];

// rate is of a second's samples, up to the one at i.
function rate(i, name) {
	const from = samples[i - PER_SECOND], to = samples[i];
	return from ? (to[name] - from[name]) * 1000 / (to.time - from.time) : null;
}

function seconds(s) {
	if (!Number.isFinite(s)) return "∞";
	if (s < 1) return number.format(s * 1000) + " ms";
	return s.toFixed(1) + " s";
}

function show(more) {
	samples = samples.concat(more).slice(-(MINUTE + 1) * PER_SECOND);
	const now = samples.at(-1), last = samples.length - 1;
	const share = now.depth / now.capacity;
	const out = rate(last, "processed") ?? 0;
	const text = {
		"in": number.format(rate(last, "received") ?? 0),
		"out": number.format(out),
		"parked": now.parked,
		"dropped": number.format(now.dropped),
		"depth": number.format(now.depth),
		"capacity-now": number.format(now.capacity),
		"wait": now.depth === 0 ? "none" : seconds(now.depth / out),
		"workers-now": number.format(now.workers),
		"unfinished": number.format(now.unfinished),
		"stored": number.format(now.stored),
		"received": number.format(now.received),
		"processed": number.format(now.processed),
	};
	for (const id in text) $(id).textContent = text[id];
	const level = share >= HIGH ? "high" : share >= MODERATE ? "moderate" : "ok";
	$("queue").dataset.level = $("level").textContent = level;
	$("fill").style.width = Math.min(share, 1) * 100 + "%";
	$("parked").classList.toggle("alarm", now.parked > 0);
	$("dropped").classList.toggle("alarm", now.dropped > 0);

	const times = samples.map(s => s.time / 1000);
	const shares = f => samples.map(s => s.capacity * f);
	depthChart.setData([times, shares(1), shares(HIGH), shares(MODERATE), samples.map(s => s.depth)]);
	ratesChart.setData([times, ...["received", "processed"].map(name => samples.map((_, i) => rate(i, name)))]);

	showSettings(now);
	if (now.draining) state("draining", "shutting down");
}

function state(name, text) {
	if ($("state").dataset.state === name) return; // said already
	$("state").dataset.state = name;
	$("state").textContent = text;
}

// Controls

const touched = {}; // when a control was last moved here; what the program says may be older
let settings; // what the program said last

function showSettings({workers, capacity, work}) {
	settings = {workers, capacity};
	const rest = id => document.activeElement !== $(id) && !(Date.now() - touched[id] < 1000);
	if (rest("workers")) $("workers").value = workers;
	if (rest("capacity")) $("capacity").value = capacity;
	if (!(Date.now() - touched.work < 1000)) showWork(work / 1e6);
}

function showWork(ms) {
	const near = WORK.reduce((best, stop) => Math.abs(stop - ms) < Math.abs(best - ms) ? stop : best);
	$("work").value = WORK.indexOf(near);
	const text = ms === 0 ? "none" : `${ms} ms`;
	$("work-text").textContent = $("work").ariaValueText = text;
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
	const now = touched[id] = Date.now();
	if (!await post("/settings", {[id]: value}) && touched[id] === now) {
		touched[id] = 0;
		reset(id);
	}
}

// reset shows what the program said last, in a field with the focus too.
function reset(id) {
	if (settings && id in settings) $(id).value = settings[id];
}

$("work").max = WORK.length - 1;
$("work").addEventListener("input", () => {
	const ms = WORK[$("work").value];
	showWork(ms);
	set("work", `${ms}ms`);
});

for (const id of ["workers", "capacity"]) {
	$(id).addEventListener("change", () => set(id, $(id).value));
}

for (const button of document.querySelectorAll(".stepper button")) {
	button.addEventListener("click", () => {
		const {"for": id, add = 0, times = 1} = button.dataset;
		$(id).value = Math.max(Math.floor(Number($(id).value) * times + Number(add)), 1);
		set(id, $(id).value);
	});
}

$("shutdown").addEventListener("click", async () => {
	$("shutdown").disabled = true;
	if (await post("/shutdown")) {
		state("draining", "shutting down");
		say("No more trades are read. The workers finish what waits.");
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
events.onerror = () => state("connecting", "connection lost; trying again");

on("run", ({source, overflow, bar}) => $("run").textContent = `${source} · overflow: ${overflow} · bars of ${bar}`);
on("samples", more => more.length && show(more));
on("candles", showCandles);
on("end", s => {
	events.close();
	state("ended", "ended");
	["workers", "capacity"].forEach(reset); // before the focus is lost: else what was typed would be sent
	document.activeElement.blur();
	$("controls").disabled = true;
	const lost = s.received - s.processed - s.dropped - s.drained;
	say(`Received ${number.format(s.received)} trades: processed ${number.format(s.processed)}, dropped ${number.format(s.dropped)}, ` +
		`drained ${number.format(s.drained)}; ${lost === 0 ? "none" : number.format(lost)} lost.`, lost !== 0);
});
