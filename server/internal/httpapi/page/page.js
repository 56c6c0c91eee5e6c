// The page of the scoring server. It uploads two files and plots their scores.
"use strict";

const $ = (id) => document.getElementById(id);
const show = (element, shown) => element.toggleAttribute("hidden", !shown);
let running = null; // the current request

// score uploads the files and reads the response line by line, one line for each frame. It uses
// XMLHttpRequest because fetch does not report the progress of an upload.
function score(event) {
  event.preventDefault();
  const model = $("model").value;
  const form = new FormData();
  const options = JSON.stringify(model ? { models: [model] } : {});
  form.append("options", new Blob([options], { type: "application/json" }));
  for (const name of ["reference", "distorted"]) form.append(name, $(name).files[0]);

  const scores = []; // [frame, score]
  let read = 0;
  begin();
  const request = running = new XMLHttpRequest();
  request.open("POST", "v1/score?frames=true");
  request.upload.onprogress = (e) => {
    if (e.lengthComputable) $("progress").value = e.loaded / e.total;
  };
  request.onprogress = () => { if (request.status === 200) readLines(); };
  request.onload = () => {
    if (request.status !== 200) return end(problemText(request.responseText, request.status));
    readLines();
    if (running === request) end("The response is incomplete.");
  };
  request.onerror = () => end("The server cannot be reached or has closed the connection.");
  request.onabort = () => end("Stopped.");
  request.send(form);

  function readLines() {
    const text = request.responseText;
    for (let at; (at = text.indexOf("\n", read)) >= 0; read = at + 1) {
      const line = JSON.parse(text.slice(read, at));
      if (line.type === "frame") scores.push([line.frame, Object.values(line.models)[0]]);
      if (line.type === "result") { draw(scores); finish(line); }
      if (line.type === "error") end(line.problem.detail);
    }
    draw(scores);
  }
}

function begin() {
  $("error").textContent = $("score").textContent = "";
  $("progress").value = 0;
  for (const id of ["plot", "details"]) show($(id), false);
  for (const id of ["progress", "stop"]) show($(id), true);
  $("start").disabled = true;
}

function end(error) {
  running = null;
  if (document.activeElement === $("stop")) $("reference").focus();
  for (const id of ["progress", "stop"]) show($(id), false);
  $("start").disabled = false;
  $("error").textContent = error;
}

function finish(result) {
  const model = result.models[0];
  const { mean, harmonic_mean, min, max } = model.pooled;
  $("score").textContent = `${model.name}: ${number(mean)}`;
  const cells = [mean, harmonic_mean, min, max].map(number).concat(result.frames);
  $("details").querySelector("tbody tr").replaceChildren(...cells.map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  }));
  show($("details"), true);
  end("");
}

const number = (v) => v === null ? "undefined" : v.toFixed(3);

function problemText(text, status) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return `The server responded with status ${status}.`;
  }
}

// draw plots the scores. For a long video it plots only the extremes of each interval, so that
// the plot has a bounded number of points.
function draw(scores) {
  const known = scores.filter(([, v]) => v !== null);
  if (!known.length) return;
  const [left, right, top, bottom] = [32, 632, 8, 216];
  const last = Math.max(known[known.length - 1][0], 1);
  let min = Infinity, max = -Infinity;
  for (const [, v] of known) { min = Math.min(min, v); max = Math.max(max, v); }
  const low = Math.min(Math.floor(min / 10) * 10, 90);
  const high = Math.max(Math.ceil(max / 10) * 10, 100);
  const x = (frame) => left + (right - left) * frame / last;
  const y = (v) => bottom - (bottom - top) * (v - low) / (high - low);

  const parts = [];
  for (let i = 0; i <= 4; i++) {
    const v = low + (high - low) * i / 4;
    parts.push(node("line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) }));
    const place = { x: left - 6, y: y(v) + 4, "text-anchor": "end" };
    parts.push(node("text", place, `${+v.toFixed(1)}`));
  }
  parts.push(node("text", { x: left, y: 234 }, "frame 0"));
  parts.push(node("text", { x: right, y: 234, "text-anchor": "end" }, `${last}`));
  const points = extremes(known, 600)
    .map(([frame, v]) => `${x(frame).toFixed(2)},${y(v).toFixed(2)}`);
  parts.push(node("polyline", { class: "scores", points: points.join(" ") }));
  const plot = $("plot");
  plot.replaceChildren(...parts);
  const label = `Scores of ${known.length} frames, from ${number(min)} to ${number(max)}`;
  plot.setAttribute("aria-label", label);
  show(plot, true);
}

// extremes returns the points with the lowest and the highest score of each interval.
function extremes(points, intervals) {
  if (points.length <= 2 * intervals) return points;
  const selected = [], size = points.length / intervals;
  for (let i = 0; i < intervals; i++) {
    const interval = points.slice(Math.floor(i * size), Math.floor((i + 1) * size));
    const sorted = interval.sort((a, b) => a[1] - b[1]);
    selected.push(...[sorted[0], sorted[sorted.length - 1]].sort((a, b) => a[0] - b[0]));
  }
  return selected;
}

function node(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

async function listModels() {
  const response = await fetch("v1/models");
  const list = await response.json();
  for (const { name } of list.models) {
    $("model").add(new Option(name, name, false, name === list.default));
  }
}

// drop assigns a dropped file to the field under the pointer. Two files may be dropped anywhere;
// the first one is the reference.
function drop(event) {
  event.preventDefault();
  mark(null);
  const { files } = event.dataTransfer;
  const fields = files.length > 1 ? [$("reference"), $("distorted")] : [fieldAt(event.target)];
  fields.forEach((field, i) => {
    if (!field || !files[i]) return;
    const transfer = new DataTransfer(); // the only way to make a FileList
    transfer.items.add(files[i]);
    field.files = transfer.files;
  });
}

const fieldAt = (target) => target.closest?.(".drop")?.querySelector("input");
const mark = (target) => document.querySelectorAll(".drop").forEach((zone) =>
  zone.classList.toggle("over", target !== null && zone === target));

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  mark(event.target.closest?.(".drop") ?? null);
});
document.addEventListener("dragleave", () => mark(null));
document.addEventListener("drop", drop);
$("form").addEventListener("submit", score);
$("stop").addEventListener("click", () => running && running.abort());
listModels().catch(() => { /* Without a list, the server uses its default model. */ });
