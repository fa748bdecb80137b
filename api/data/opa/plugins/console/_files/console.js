// Keeps the page as the server has it now: the same path gives events, each with the content of <main>.
"use strict";

const main = document.querySelector("main[data-live]");
const state = document.getElementById("state");

function isInUse() {
  const selection = document.getSelection();
  if (selection && !selection.isCollapsed && main.contains(selection.anchorNode)) return true;
  const active = document.activeElement;
  return active !== main && main.contains(active) && active.matches("input, select, textarea");
}

// Which parts are open, where the reader is, and what has the focus stay as they are.
function show(html) {
  const open = new Set([...main.querySelectorAll("details[open]")].map((part) => part.id));
  const scrolled = [...main.querySelectorAll(".wide, pre")].map((part) => [part.scrollLeft, part.scrollTop]);
  const focusable = "a, button, summary, [tabindex]";
  const focused = [...main.querySelectorAll(focusable)].indexOf(document.activeElement);
  main.innerHTML = html;
  for (const part of main.querySelectorAll("details")) part.open = open.has(part.id);
  main.querySelectorAll(".wide, pre").forEach((part, place) => {
    if (scrolled[place]) [part.scrollLeft, part.scrollTop] = scrolled[place];
  });
  if (focused >= 0) main.querySelectorAll(focusable)[focused]?.focus({ preventScroll: true });
  localTimes();
}

// In the reader's own time; what is not of today has its date, and all of it stands in the title.
function localTimes() {
  const today = new Date();
  for (const time of document.querySelectorAll("time[data-time]")) {
    const moment = new Date(Math.round(Number(time.dataset.time)) * 1000);
    if (Number.isNaN(moment.valueOf())) continue;
    const date = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
    if (moment.getFullYear() !== today.getFullYear()) date.year = "numeric";
    const isToday = moment.toDateString() === today.toDateString();
    time.textContent = isToday ? moment.toLocaleTimeString() : moment.toLocaleString([], date);
    time.title = moment.toLocaleString();
  }
}

let events;
let waiting;

function follow() {
  events = new EventSource(location.href);
  events.onopen = () => { state.textContent = ""; };
  events.onmessage = (event) => {
    waiting = event.data;
    if (!isInUse()) { show(waiting); waiting = undefined; }
  };
  events.onerror = async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    // In development, a page may stand in the place of an api that does not start: it is shown, and comes back here.
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
    if (answer?.headers.has("X-Opa-Mistake")) return location.reload();
    state.textContent = "This page does not follow what happens at the moment.";
    setTimeout(() => { if (!document.hidden) follow(); }, 5000);
  };
}

document.addEventListener("selectionchange", () => {
  if (waiting !== undefined && !isInUse()) { show(waiting); waiting = undefined; }
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) events?.close();
  else follow();
});
localTimes();
if (main && !document.hidden) follow();
