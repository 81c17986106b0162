// Figures follow the page from light to dark: transparent paper, the page's ink, quiet grids. (Their lines keep the book's colours.)
(() => {
  const dark = () => document.documentElement.classList.contains("quarto-dark") || document.body.classList.contains("quarto-dark");
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
  addEventListener("load", dress);
  new MutationObserver(dress).observe(document.documentElement, {attributes: true, attributeFilter: ["class"]});
})();
