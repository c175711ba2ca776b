"use strict";
// The page is whole without this. With it, an open page looks again as soon as the door says that something changed.
(() => {
  const base = "/console";
  const status = document.getElementById("live");
  const main = () => document.getElementById("main");
  let skew = 0; // of this clock, in milliseconds
  let fetching = false;
  let wanted = false;

  const say = (text) => { if (status.textContent !== text) status.textContent = text; };

  const units = (seconds) => {
    if (seconds < 60) return `${seconds} s`;
    const days = Math.floor(seconds / 86400);
    const hours = Math.floor((seconds % 86400) / 3600);
    const minutes = days ? 0 : Math.floor((seconds % 3600) / 60);
    return [[days, "d"], [hours, "h"], [minutes, "min"]].filter(([n]) => n).map(([n, u]) => `${n} ${u}`).join(" ");
  };

  const count = () => {
    for (const one of main().querySelectorAll("time[data-away]")) {
      const away = Math.trunc((Date.parse(one.dateTime) - Date.now() - skew) / 1000);
      const text = away > 0 ? `in ${units(away)}` : `${units(-away)} ago`;
      if (one.textContent !== text) one.textContent = text;
    }
  };

  const synchronize = () => { skew = Date.parse(main().dataset.now) - Date.now(); };

  const isBusy = () => {
    const active = document.activeElement;
    return document.hidden || (main().contains(active) && active.matches("input, select, textarea"));
  };

  const swap = (next) => {
    const old = main();
    const open = [...old.querySelectorAll("details[id][open]")].map((one) => one.id);
    const scrolled = [...old.querySelectorAll(".scroll[id]")].map((one) => [one.id, one.scrollLeft]);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const key = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.href && `a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
    old.replaceWith(document.adoptNode(next));
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, left] of scrolled) { const one = document.getElementById(id); if (one) one.scrollLeft = left; }
    if (focused) (focused === old ? next : key && next.querySelector(key))?.focus({ preventScroll: true });
    synchronize();
    count();
  };

  const look = async () => {
    if (fetching || isBusy()) { wanted = true; return; }
    fetching = true;
    wanted = false;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected) { location.reload(); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (isBusy()) wanted = true; else if (next) swap(next);
    } catch {
      wanted = true;
      say("Not up to date: the door does not answer.");
      setTimeout(look, 2000);
    } finally {
      fetching = false;
    }
    if (wanted && !isBusy()) setTimeout(look, 50);
  };

  const later = () => { if (wanted) look(); };

  const listen = () => {
    const source = new EventSource(`${base}/live?seen=${main().dataset.seen}`);
    source.addEventListener("open", () => say("Live."));
    source.addEventListener("changed", look);
    source.addEventListener("error", () => {
      say("Not live: trying to reach the door.");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
    });
  };

  synchronize();
  count();
  setInterval(count, 1000);
  document.addEventListener("visibilitychange", later);
  document.addEventListener("focusout", () => setTimeout(later, 0));
  if (main().dataset.seen) listen();
  if (main().dataset.every) setInterval(look, Number(main().dataset.every) * 1000);
})();
