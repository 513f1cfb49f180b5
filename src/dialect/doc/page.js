// The documentation page: lists the operations of the contract, searches them, shows one, tries it.
"use strict";

const METHODS = { get: "GET", create: "POST", set: "PUT", delete: "DELETE" };
const LONGEST_SHOWN = 200000;
const byId = (id) => document.getElementById(id);

// An element with properties and children; strings become text.
function make(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function typeText(schema) {
  if (schema.typetext) return schema.typetext;
  if (schema.enum) return schema.enum.join(" | ");
  const bounds = [schema.minimum ?? schema.minLength ?? schema.minItems, schema.maximum ?? schema.maxLength ?? schema.maxItems];
  const huge = (n) => n === undefined || n > 1e15;
  const range = huge(bounds[1]) && bounds[0] === undefined ? "" : ` (${bounds[0] ?? 0} to ${huge(bounds[1]) ? "any" : bounds[1]})`;
  if (schema.type === "array") return `list of ${typeText(schema.items)}`;
  return (schema.format ? `${schema.type}, ${schema.format}` : schema.type) + range + (schema.pattern ? ` ${schema.pattern}` : "");
}

const accessText = (access) =>
  access === "open" ? "Anyone who can reach the box." :
  access === "user" ? "Every user." :
  access === "administrator" ? "The administrator." : `Users with the privilege ${access}.`;

// What an operation is found by.
const words = (operation) =>
  [operation.name, operation.path, operation.description, operation.access, METHODS[operation.verb], operation.verb,
    ...Object.entries(operation.parameters.properties).flatMap(([name, schema]) => [name, schema.description, ...(schema.enum || [])])]
    .join(" ").toLowerCase();

let contract = { version: "", operations: [] };

function list() {
  const wanted = byId("search").value.toLowerCase().split(/\s+/).filter((word) => word);
  const found = contract.operations.filter((operation) => wanted.every((word) => operation.words.includes(word)));
  const areas = new Map();
  for (const operation of found) areas.set(operation.area, [...(areas.get(operation.area) || []), operation]);
  const chosen = decodeURIComponent(location.hash.slice(1));
  const parts = [];
  for (const [area, operations] of areas) {
    parts.push(make("h3", null, area));
    for (const operation of operations.sort((a, b) => a.path.localeCompare(b.path))) {
      const button = make("button", { title: operation.description },
        make("span", { className: "verb" }, METHODS[operation.verb]), make("span", { className: "path" }, operation.path));
      button.addEventListener("click", () => { location.hash = operation.name; });
      if (operation.name === chosen) button.setAttribute("aria-current", "true");
      parts.push(button);
    }
  }
  if (!parts.length) parts.push(make("p", { className: "dim" }, "Nothing is called that."));
  byId("tree").replaceChildren(...parts);
}

// Rows of a table of properties, those of objects within too.
function propertyRows(properties, prefix, depth) {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const inner = schema.type === "array" ? schema.items : schema;
    const path = prefix + name + (schema.type === "array" ? "[n]" : "");
    const row = make("tr", null, make("th", null, make("code", null, path)), make("td", { className: "dim" }, typeText(schema)),
      make("td", null, schema.description + (schema.optional ? " Optional." : "")));
    return [row, ...(inner.properties && depth < 4 ? propertyRows(inner.properties, path + ".", depth + 1) : [])];
  });
}

function field(schema) {
  if (schema.enum || schema.type === "boolean") {
    const choices = ["", ...(schema.enum || ["true", "false"])];
    return make("select", null, ...choices.map((choice) => make("option", { value: choice }, choice)));
  }
  if (schema.type === "object" || schema.type === "any" || schema.type === "array") {
    return make("textarea", { rows: 2, placeholder: schema.type === "array" ? "a JSON list, or one element a line" : "JSON" });
  }
  return make("input", { type: "text", placeholder: schema.default === undefined ? "" : String(schema.default) });
}

// The value that a field's text spells.
function spelled(schema, text) {
  switch (schema.type) {
    case "boolean": return text === "true";
    case "integer": case "number": return Number.isNaN(Number(text)) ? text : Number(text);
    case "object": return JSON.parse(text);
    case "any": try { return JSON.parse(text); } catch { return text; }
    case "array": return text.trim().startsWith("[") ? JSON.parse(text) : text.split("\n").filter((line) => line).map((line) => spelled(schema.items, line));
    default: return text;
  }
}

function show() {
  const operation = contract.operations.find((one) => one.name === decodeURIComponent(location.hash.slice(1)));
  list();
  if (!operation) return;
  const inPath = (name) => operation.path.includes(`{${name}}`);
  const entries = Object.entries(operation.parameters.properties);
  const fields = new Map();
  const rows = entries.map(([name, schema]) => {
    const input = field(schema);
    if (/password|secret|key$/.test(name) && input.type === "text") input.type = "password";
    input.setAttribute("aria-label", name);
    fields.set(name, input);
    const requires = schema.requires ? ` Only together with ${schema.requires.join(", ")}.` : "";
    const standard = schema.default === undefined ? "" : ` Without it: ${JSON.stringify(schema.default)}.`;
    return make("tr", null, make("th", null, make("code", null, name), schema.optional ? "" : " *"),
      make("td", null, input), make("td", null, schema.description + standard + requires, make("br"), make("span", { className: "dim" }, typeText(schema))));
  });
  const shape = operation.result.type === "array" ? operation.result.items : operation.result;
  const results = shape.properties ? propertyRows(shape.properties, operation.result.type === "array" ? "[n]." : "", 0) : [];
  const output = make("pre", { hidden: true });
  const button = make("button", { type: "button" }, "Try it");
  const command = make("pre", null);

  // Method, path with query, and body of the call that the fields describe.
  function call() {
    let path = operation.path;
    const values = {};
    for (const [name, schema] of entries) {
      const text = fields.get(name).value;
      if (inPath(name)) path = path.replace(`{${name}}`, encodeURIComponent(text) || `{${name}}`);
      else if (text !== "") values[name] = spelled(schema, text);
    }
    const sendsBody = operation.verb === "create" || operation.verb === "set";
    const query = new URLSearchParams();
    if (!sendsBody) {
      for (const [name, value] of Object.entries(values)) {
        for (const one of Array.isArray(value) ? value : [value]) query.append(name, typeof one === "object" ? JSON.stringify(one) : String(one));
      }
    }
    const target = `/api2/rest${path === "/" ? "" : path}` + (query.size ? `?${query}` : "");
    return { method: METHODS[operation.verb], target, path, values, body: sendsBody ? JSON.stringify(values) : undefined };
  }

  function tell() {
    try {
      const { method, target, path, values, body } = call();
      const quote = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
      const options = Object.entries(values).map(([name, value]) => ` --${name} ${quote(typeof value === "object" ? JSON.stringify(value) : value)}`).join("");
      const data = body === undefined ? "" : ` -H 'Content-Type: application/json' -d ${quote(body)}`;
      command.textContent = `curl -u USER -X ${method} ${quote(location.origin + target)}${data}\nweir ${operation.verb} ${path}${options}`;
    } catch (error) {
      command.textContent = String(error);
    }
  }

  async function attempt() {
    output.hidden = false;
    output.textContent = "..";
    try {
      const { method, target, body } = call();
      const headers = {};
      const user = byId("user").value, secret = byId("secret").value;
      if (user.includes("!")) headers.Authorization = `PVEAPIToken=${user}=${secret}`;
      else if (user) headers.Authorization = "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode(`${user}:${secret}`)));
      if (body !== undefined) headers["Content-Type"] = "application/json";
      const started = performance.now();
      const response = await fetch(target, { method, headers, body, credentials: "omit" });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
      const cut = shown.length > LONGEST_SHOWN ? shown.slice(0, LONGEST_SHOWN) + "\n.." : shown;
      output.textContent = `${response.status} ${response.statusText}, ${Math.round(performance.now() - started)} ms\n\n${cut}`;
      output.className = response.ok ? "" : "bad";
    } catch (error) {
      output.className = "bad";
      output.textContent = String(error);
    }
  }

  button.addEventListener("click", attempt);
  for (const input of fields.values()) input.addEventListener("input", tell);
  tell();
  const section = byId("operation");
  section.replaceChildren(
    make("h2", null, make("span", { className: "verb" }, METHODS[operation.verb]), make("span", { className: "path" }, operation.path)),
    make("p", null, operation.description),
    make("p", { className: "dim" }, `Operation ${operation.name}. ${accessText(operation.access)} ` +
      `${operation.streams ? "The answer is sent as it is made. " : ""}`),
    rows.length ? make("table", null, ...rows) : make("p", { className: "dim" }, "It takes no parameters."),
    command, button, output,
    make("h3", null, "Answer"),
    make("p", null, `${operation.result.description} `, make("span", { className: "dim" }, typeText(operation.result))),
    ...(results.length ? [make("table", null, ...results)] : []));
  section.focus();
}

async function start() {
  const response = await fetch("/doc/contract.json", { credentials: "omit" });
  contract = await response.json();
  for (const operation of contract.operations) operation.words = words(operation);
  byId("version").textContent = contract.version;
  byId("search").addEventListener("input", list);
  window.addEventListener("hashchange", show);
  show();
}

start().catch((error) => byId("tree").replaceChildren(make("p", { className: "bad" }, String(error))));
