// The spans of a Traces frame as rows of a waterfall, each below its parent.

const REQUIRED = ['traceID', 'spanID', 'operationName', 'serviceName', 'startTime', 'duration'];

function spansOf(frame) {
  const columns = new Map(frame.fields.map((field) => [field.name, field.values]));
  const missing = REQUIRED.filter((name) => !columns.has(name));
  if (missing.length > 0) {
    throw new Error(`the Traces panel needs the columns ${missing.join(', ')}`);
  }
  return Array.from({ length: frame.length }, (_, row) => {
    const span = Object.fromEntries([...columns].map(([name, values]) => [name, values[row]]));
    if (span.spanID == null) {
      throw new Error('the Traces panel shows nothing when a row has no spanID');
    }
    for (const name of ['tags', 'serviceTags']) {
      if (span[name] != null && !Array.isArray(span[name])) {
        throw new Error(`${name} of the span ${span.spanID} is no array: the panel would read its characters`);
      }
    }
    return { ...span, end: span.startTime + span.duration };
  });
}

/** Rows in the order of a waterfall: `{span, depth}`; a span without a parent here is a root. */
export function waterfall(frame) {
  const spans = spansOf(frame);
  const known = new Set(spans.map(({ spanID }) => spanID));
  if (known.size < spans.length) {
    throw new Error('two rows have the same spanID');
  }
  const children = new Map();
  const roots = [];
  for (const span of spans) {
    if (span.parentSpanID && known.has(span.parentSpanID)) {
      children.set(span.parentSpanID, [...(children.get(span.parentSpanID) ?? []), span]);
    } else {
      roots.push(span);
    }
  }
  const rows = [];
  const place = (list, depth) => {
    for (const span of list.sort((a, b) => a.startTime - b.startTime)) {
      rows.push({ span, depth });
      place(children.get(span.spanID) ?? [], depth + 1);
    }
  };
  place(roots, 0);
  if (rows.length < spans.length) {
    throw new Error('some spans are their own ancestors');
  }
  const from = Math.min(...spans.map(({ startTime }) => startTime));
  const to = Math.max(...spans.map(({ end }) => end));
  return { rows, roots, from, to };
}
