// Shows the parts of a page anew that have changed, every few seconds while somebody looks. What is typed, focused, opened or
// scrolled stays as it is: a part in which somebody types waits.
"use strict";
(() => {
  const EVERY = 5000;
  const told = document.getElementById("refreshed");
  let tag = "", busy = false;

  const typing = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button");
  const filled = (part) => [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((each) => each.value !== each.defaultValue);
  const place = (element) => [element.id, element.getAttribute("href"), element.textContent].join("|");
  const marks = (part) => [...part.querySelectorAll("details")].map((each) => [place(each.querySelector("summary")), each.open]);

  const replace = (part, next) => {
    const focused = part.contains(document.activeElement) ? place(document.activeElement) : null;
    const opened = new Map(marks(part));
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    part.replaceChildren(...next.childNodes);
    part.dataset.live = next.dataset.live;
    for (const each of part.querySelectorAll("details")) {
      const was = opened.get(place(each.querySelector("summary")));
      if (was !== undefined) each.open = was;
    }
    part.querySelectorAll(".scroll").forEach((each, at) => scrolled[at] && each.scrollTo(...scrolled[at]));
    if (focused !== null) [...part.querySelectorAll("a, summary, [tabindex]")].find((each) => place(each) === focused)?.focus({ preventScroll: true });
    part.dispatchEvent(new CustomEvent("mainspring:shown", { bubbles: true }));
  };

  const refresh = async () => {
    if (document.hidden || busy || document.querySelector("[data-live]") === null) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "If-None-Match": tag || '"none"' }, redirect: "error" });
      if (answer.status === 401) return location.reload();
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") ?? "";
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const next = fresh.getElementById(part.id);
          if (next === null || next.dataset.live === part.dataset.live) continue;
          if (typing(part) || filled(part)) tag = ""; // it is asked for again
          else replace(part, next);
        }
      }
      if (answer.ok || answer.status === 304) told.textContent = `Up to date at ${new Date().toLocaleTimeString()}. `;
    } catch {
      told.textContent = "The server does not answer; this page is as it was. ";
    } finally {
      busy = false;
    }
  };
  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", refresh);
})();
