// The page of the scoring server: sends two files, draws what comes back.
"use strict";

const $ = (id) => document.getElementById(id);
const show = (element, shown) => element.toggleAttribute("hidden", !shown);
let running = null; // the request under way

// The browser reads the files from disk as it sends them; the answer comes in
// lines, one a frame. XMLHttpRequest tells how far the sending is; fetch does not.
function score(event) {
  event.preventDefault();
  const model = $("model").value;
  const form = new FormData();
  form.append("options", new Blob([JSON.stringify(model ? { models: [model] } : {})], { type: "application/json" }));
  for (const name of ["reference", "distorted"]) form.append(name, $(name).files[0]);

  const scores = []; // [frame, score]
  let read = 0;
  begin();
  const request = running = new XMLHttpRequest();
  request.open("POST", "v1/score?frames=true");
  request.upload.onprogress = (e) => { if (e.lengthComputable) $("progress").value = e.loaded / e.total; };
  request.onprogress = () => { if (request.status === 200) readLines(); };
  request.onload = () => {
    if (request.status !== 200) return end(problemText(request.responseText, request.status));
    readLines();
    if (running === request) end("The answer ended too soon.");
  };
  request.onerror = () => end("The server cannot be reached, or closed the connection.");
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
  try { return JSON.parse(text).detail; } catch { return `The server answered with ${status}.`; }
}

// draw plots the scores, at most a few thousand points: of a longer video the
// least and greatest of each stretch.
function draw(scores) {
  const known = scores.filter(([, v]) => v !== null);
  if (!known.length) return;
  const [left, right, top, bottom] = [32, 632, 8, 216];
  const last = Math.max(known[known.length - 1][0], 1);
  let least = Infinity, greatest = -Infinity;
  for (const [, v] of known) { least = Math.min(least, v); greatest = Math.max(greatest, v); }
  const low = Math.min(Math.floor(least / 10) * 10, 90), high = Math.max(Math.ceil(greatest / 10) * 10, 100);
  const x = (frame) => left + (right - left) * frame / last;
  const y = (v) => bottom - (bottom - top) * (v - low) / (high - low);

  const parts = [];
  for (let i = 0; i <= 4; i++) {
    const v = low + (high - low) * i / 4;
    parts.push(node("line", { class: "grid", x1: left, x2: right, y1: y(v), y2: y(v) }));
    parts.push(node("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, `${+v.toFixed(1)}`));
  }
  parts.push(node("text", { x: left, y: 234 }, "frame 0"));
  parts.push(node("text", { x: right, y: 234, "text-anchor": "end" }, `${last}`));
  const points = extremes(known, 600).map(([frame, v]) => `${x(frame).toFixed(2)},${y(v).toFixed(2)}`);
  parts.push(node("polyline", { class: "scores", points: points.join(" ") }));
  const plot = $("plot");
  plot.replaceChildren(...parts);
  plot.setAttribute("aria-label", `Scores of ${known.length} frames, from ${number(least)} to ${number(greatest)}`);
  show(plot, true);
}

function extremes(points, stretches) {
  if (points.length <= 2 * stretches) return points;
  const kept = [], size = points.length / stretches;
  for (let i = 0; i < stretches; i++) {
    const some = points.slice(Math.floor(i * size), Math.floor((i + 1) * size));
    const sorted = [...some].sort((a, b) => a[1] - b[1]);
    kept.push(...[sorted[0], sorted[sorted.length - 1]].sort((a, b) => a[0] - b[0]));
  }
  return kept;
}

function node(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

async function listModels() {
  const answer = await fetch("v1/models");
  const list = await answer.json();
  for (const { name } of list.models) $("model").add(new Option(name, name, false, name === list.default));
}

// A file dropped on a field is that field's; two dropped anywhere are reference
// and distorted, in that order.
function drop(event) {
  event.preventDefault();
  mark(null);
  const { files } = event.dataTransfer;
  const fields = files.length > 1 ? [$("reference"), $("distorted")] : [fieldAt(event.target)];
  fields.forEach((field, i) => {
    if (!field || !files[i]) return;
    const one = new DataTransfer();
    one.items.add(files[i]);
    field.files = one.files;
  });
}

const fieldAt = (target) => target.closest?.(".drop")?.querySelector("input");
const mark = (wanted) => document.querySelectorAll(".drop").forEach((zone) =>
  zone.classList.toggle("over", wanted !== null && zone === wanted));

document.addEventListener("dragover", (event) => { event.preventDefault(); mark(event.target.closest?.(".drop") ?? null); });
document.addEventListener("dragleave", () => mark(null));
document.addEventListener("drop", drop);
$("form").addEventListener("submit", score);
$("stop").addEventListener("click", () => running && running.abort());
listModels().catch(() => { /* the server's default scores */ });
