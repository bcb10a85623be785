// Keeps the page up to date: when the server says that something changed, the page is fetched again and
// the parts marked with data-live are replaced. Without this file the page reloads itself.
"use strict";

const PAUSE = 300; // Milliseconds between two fetches, at least.
const EVERY = 15000; // Uptimes change without any news.
const offline = document.getElementById("offline");
let busy = false;
let again = false;

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  again = false;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (next && next.innerHTML !== part.innerHTML) replace(part, next);
    }
    offline.hidden = true;
  } catch {
    offline.hidden = false;
  }
  setTimeout(() => {
    busy = false;
    if (again) refresh();
  }, PAUSE);
}

// Replaces the content and keeps the focus and the scrolling where they were.
function replace(part, next) {
  const focusable = "a[href], pre[tabindex]";
  const at = [...part.querySelectorAll(focusable)].indexOf(document.activeElement);
  const scrolled = [...part.querySelectorAll("pre")].map((box) => box.scrollTop);
  part.replaceChildren(...next.childNodes);
  part.querySelectorAll("pre").forEach((box, index) => {
    box.scrollTop = scrolled[index] ?? 0;
  });
  if (at >= 0) part.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
}

const news = new EventSource("/changes");
news.onmessage = refresh;
news.onopen = refresh;
news.onerror = () => {
  offline.hidden = false;
};
setInterval(refresh, EVERY);
