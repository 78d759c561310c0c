// Places for the nodes of a graph: columns by the longest way from a start, ordered to cross little.

const SWEEPS = 4;

/** `Map(id -> {column, place})`; an edge that would close a circle does not push its target on. */
export function columnsOf(nodes, edges) {
  const into = new Map(nodes.map(({ id }) => [id, []]));
  const outOf = new Map(nodes.map(({ id }) => [id, []]));
  for (const { source, target } of edges) {
    into.get(target).push(source);
    outOf.get(source).push(target);
  }
  const column = new Map();
  const walk = (id, path) => {
    if (!column.has(id)) {
      const before = into.get(id).filter((one) => !path.has(one));
      const within = new Set([...path, id]);
      column.set(id, Math.max(-1, ...before.map((one) => walk(one, within))) + 1);
    }
    return column.get(id);
  };
  nodes.forEach(({ id }) => walk(id, new Set()));
  const columns = [];
  nodes.forEach(({ id }) => (columns[column.get(id)] ??= []).push(id));
  order(columns, into, outOf);
  return columns;
}

function order(columns, into, outOf) {
  const place = new Map();
  const note = (ids) => ids.forEach((id, index) => place.set(id, (index + 0.5) / ids.length));
  columns.forEach(note);
  const mean = (ids, otherwise) =>
    ids.length ? ids.reduce((sum, id) => sum + place.get(id), 0) / ids.length : otherwise;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forward = sweep % 2 === 0;
    for (const ids of forward ? columns : [...columns].reverse()) {
      const neighbours = forward ? into : outOf;
      const wish = new Map(ids.map((id) => [id, mean(neighbours.get(id), place.get(id))]));
      ids.sort((a, b) => wish.get(a) - wish.get(b));
      note(ids);
    }
  }
}
