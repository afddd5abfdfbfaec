// What can be said of a page's usability by looking at its document, as one expression: a list of what is wrong, for a browser to evaluate.
(() => {
  const wrong = [];
  const visible = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  const named = (element) => `${element.tagName.toLowerCase()}${element.id ? `#${element.id}` : ""} "${element.textContent.trim().slice(0, 30)}"`;
  const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);

  // --- contrast, by WCAG 2: each text with its colour on the ground under it; a bar behind a size is a ground, too
  const parsed = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const luminance = ({ r, g, b }) => {
    const [R, G, B] = [r, g, b].map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const grounds = (element) => {
    const found = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      for (const colour of style.backgroundImage.match(/rgba?\([^)]*\)/g) ?? []) if (parsed(colour).a === 1) found.push(parsed(colour));
      const ground = parsed(style.backgroundColor);
      if (ground.a === 1) return [...found, ground];
      if (ground.a > 0) wrong.push(`${named(at)}: a ground that is seen through cannot be judged`);
    }
    return [...found, parsed("rgb(255, 255, 255)")];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let judged = 0;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !visible(element) || element.closest(".unseen, script")) continue;
    judged++;
    const text = parsed(getComputedStyle(element).color);
    for (const ground of grounds(element)) {
      const ratio = contrast(text, ground);
      if (ratio < 4.5) wrong.push(`${named(element)}: contrast ${ratio.toFixed(2)}`);
    }
  }
  if (judged < 50) wrong.push(`only ${judged} texts were seen`);

  // --- names
  const label = (element) => {
    const by = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
    return (by || element.getAttribute("aria-label") || [...(element.labels ?? [])].map((each) => each.textContent).join(" ") || element.textContent).trim();
  };
  for (const control of all("button, input, [href], [role=button], [tabindex='0']")) if (!label(control)) wrong.push(`${named(control)}: a control without a name`);
  for (const select of all("select")) {
    const own = [...select.labels].map((each) => each.firstChild.textContent.trim()).join("") || select.getAttribute("aria-label");
    if (!own) wrong.push(`${named(select)}: a choice without a name`);
  }
  for (const control of all("button, select, input")) {
    const { width, height } = control.getBoundingClientRect();
    if (width < 24 || height < 24) wrong.push(`${named(control)}: ${width} x ${height} is too small for a finger`);
  }
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push("an image without alt");
  for (const chart of all(".chart"))
    if (chart.getAttribute("role") !== "img" || (chart.getAttribute("aria-label") ?? "").length < 10) wrong.push(`${named(chart)}: a chart that says nothing in words`);
  if (!document.documentElement.lang) wrong.push("the language is not named");
  if (!document.title) wrong.push("the page has no title");

  // --- structure
  for (const [what, selector] of Object.entries({ header: "body > header", main: "main", navigation: "nav[aria-labelledby]", "live region": "[aria-live=polite]" }))
    if (document.querySelectorAll(selector).length !== 1) wrong.push(`there is not one ${what}`);
  for (const section of all("section")) if (!label(section) || !(section.hasAttribute("aria-labelledby") || section.hasAttribute("aria-label"))) wrong.push(`${named(section)}: a section without a name`);
  for (const table of all(".page table:not(.u-legend):not(.tv-lightweight-charts table)")) {
    if (!table.caption?.textContent.trim()) wrong.push(`${named(table)}: a table without a caption`);
    if (![...table.tHead?.rows[0]?.cells ?? []].length) wrong.push(`${named(table)}: a table without heads`);
    for (const head of table.querySelectorAll("th")) if (!head.scope) wrong.push(`${named(head)}: a head without scope`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4")) {
    const depth = Number(heading.tagName[1]);
    if (depth > level + 1) wrong.push(`${named(heading)}: a level of heads is left out`);
    level = depth;
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`#${id} is there twice`);
  for (const name of ["aria-labelledby", "aria-describedby", "for"])
    for (const element of document.querySelectorAll(`[${name}]`))
      for (const id of element.getAttribute(name).split(/\s+/)) if (!document.getElementById(id)) wrong.push(`${named(element)}: ${name} names nothing`);

  // --- what scrolls can be scrolled by keys; the page itself not to the side
  for (const element of all("body *")) {
    const style = getComputedStyle(element);
    const scrolls = (/auto|scroll/.test(style.overflowY) && element.scrollHeight > element.clientHeight + 1) || (/auto|scroll/.test(style.overflowX) && element.scrollWidth > element.clientWidth + 1);
    if (scrolls && element.tabIndex < 0 && !element.querySelector("[tabindex='0'], a, button, input, select")) wrong.push(`${named(element)}: scrolls, but not by keys`);
  }
  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) wrong.push(`the page is ${scrollWidth} wide in a window of ${innerWidth}`);
  return wrong;
})()
