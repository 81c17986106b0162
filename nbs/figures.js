// Figures follow the page from light to dark: transparent paper, the page's ink, quiet grids. (Their lines keep the book's colours.)
// On a phone the legend goes below the plot, and a long title into several lines.
(() => {
  const dark = () => document.documentElement.classList.contains("quarto-dark") || document.body.classList.contains("quarto-dark");
  const folded = title => (title.match(/.{1,40}(?=\s|$)/g) || [title]).map(line => line.trim()).join("<br>");
  const narrow = figure => {
    if (figure.clientWidth > 520 || !figure._fullLayout || figure.layout.polar) return;
    const title = folded((figure.layout.title?.text || "").replaceAll("<br>", " ")), lines = title.split("<br>").length, keys = figure._fullLayout.showlegend ? figure.data.filter(trace => trace.showlegend !== false).length : 0, below = 66 + 20*keys, height = 250 + 18*lines + below;
    figure.style.height = `${height}px`;
    figure.parentElement.style.height = "auto";
    Plotly.relayout(figure, {"title.text": title, "title.font.size": 13, "margin.t": 22 + 18*lines, "margin.r": 10, "margin.l": 48, "margin.b": below, height,
                             "legend.orientation": "v", "legend.x": 0, "legend.xanchor": "left", "legend.y": -58/(height - below - 22 - 18*lines), "legend.yanchor": "top", "legend.font.size": 11});
  };
  const dress = () => {
    const ink = dark() ? "#e6e8eb" : "#2a2d33", grid = dark() ? "#3a3f47" : "#e3e6ea";
    for (const figure of document.querySelectorAll(".plotly-graph-div")) {
      if (!figure._fullLayout) continue;
      const changes = {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": ink, "title.font.color": ink};
      for (const axis of Object.keys(figure._fullLayout).filter(key => /^[xy]axis\d*$/.test(key))) Object.assign(changes, {[`${axis}.gridcolor`]: grid, [`${axis}.zerolinecolor`]: grid, [`${axis}.tickfont.color`]: ink, [`${axis}.title.font.color`]: ink});
      (figure.layout.annotations || []).forEach((_, i) => { changes[`annotations[${i}].font.color`] = ink; });
      Plotly.relayout(figure, changes);
    }
  };
  addEventListener("load", () => { dress(); document.querySelectorAll(".plotly-graph-div").forEach(narrow); });
  new MutationObserver(dress).observe(document.documentElement, {attributes: true, attributeFilter: ["class"]});
})();
