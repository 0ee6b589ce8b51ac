// Draws every chart of the page from the Vega-Lite beside it. Colours are custom properties of the page, so that dark mode
// and print need no second drawing. Nothing is loaded: the policy of the page forbids it.
"use strict";
(() => {
  const font = getComputedStyle(document.body).fontFamily;
  const ink = "var(--ink)", quiet = "var(--quiet-ink)", rule = "var(--rule)";
  const config = {
    font, background: "transparent", aria: false, padding: { left: 0, right: 4, top: 4, bottom: 6 },
    view: { stroke: null },
    axis: {
      labelColor: quiet, titleColor: quiet, gridColor: rule, domain: false, ticks: false, labelFontSize: 12,
      titleFontSize: 12, titleFontWeight: "normal", labelPadding: 8, titlePadding: 10, tickCount: 5,
    },
    axisY: { labelOverlap: true },
    axisYDiscrete: { grid: false, labelOverlap: false, labelColor: ink },
    axisX: { labelFlush: true, labelOverlap: true },
    legend: { labelColor: ink, labelFontSize: 12, symbolSize: 80, symbolOpacity: 1, orient: "top", offset: 4 },
  };
  const options = { renderer: "svg", actions: false, ast: true, config, defaultStyle: false, tooltip: { theme: "page", disableDefaultStyle: true } };
  const draw = (place) => {
    const spec = JSON.parse(place.parentElement.querySelector('script[type="application/json"]').textContent);
    const narrow = place.clientWidth < 520;
    const axisYDiscrete = { ...config.axisYDiscrete, labelLimit: Math.round(place.clientWidth * (narrow ? 0.42 : 0.34)) };
    const legend = narrow ? { ...config.legend, columns: 1 } : config.legend;
    // Vega takes the role and the label off the element it draws into: the place itself must keep them.
    return vegaEmbed(place.appendChild(document.createElement("div")), spec, { ...options, config: { ...config, axisYDiscrete, legend } }).then(
      () => {
        // The place is the image, and says what it shows; the marks in it are nothing to be read one by one.
        place.firstElementChild.setAttribute("aria-hidden", "true");
        place.setAttribute("data-drawn", "yes");
      },
      (error) => {
        place.setAttribute("data-drawn", "no");
        place.parentElement.querySelector("details").open = true;
        console.error(error);
      },
    );
  };
  const drawAll = (within) => within.querySelectorAll(".chart:not([data-drawn])").forEach(draw);
  drawAll(document);
  document.addEventListener("mainspring:shown", (event) => drawAll(event.target)); // a part of the page was shown anew
})();
