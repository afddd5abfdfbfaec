// Changes to the document: only what differs is written, so that a status of hundreds of products costs what changed in it.

export const by = (id) => document.getElementById(id);

export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export function attribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// rows makes the body of a table have one row for each item, by filling the rows that are there, and making or dropping the rest. A cell is
// a text, or { text, ...attributes }; the first cell is a row header where header says so.
export function rows(body, items, cells, header = false) {
  while (body.rows.length > items.length) body.deleteRow(-1);
  items.forEach((item, i) => {
    const values = cells(item), row = body.rows[i] ?? body.insertRow();
    values.forEach((value, j) => {
      let cell = row.cells[j];
      if (!cell) {
        cell = header && j === 0 ? make("th", { scope: "row" }) : make("td");
        row.append(cell);
      }
      const { text: shown, ...attributes } = typeof value === "object" ? value : { text: value };
      text(cell, shown);
      for (const [name, set] of Object.entries(attributes)) attribute(cell, name, set);
    });
  });
}
